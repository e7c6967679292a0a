"""Numbers that are kept elsewhere anyway, shown to Prometheus: each is read at the scrape and costs nothing before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True)
class Reading:
    """`read` answers a number, or with `label` a number for each of its values, which must be few and known."""

    name: str
    help: str
    kind: Literal["counter", "gauge"]
    read: Callable[[], float | Mapping[str, float]]
    label: str | None = None


class Readings(Collector):
    def __init__(self, readings: Sequence[Reading]) -> None:
        self._readings = readings

    def collect(self) -> Iterable[Metric]:
        for reading in self._readings:
            labels = [reading.label] if reading.label else []
            family = (
                CounterMetricFamily(f"penguinmails_{reading.name}", reading.help, labels=labels)
                if reading.kind == "counter"
                else GaugeMetricFamily(f"penguinmails_{reading.name}", reading.help, labels=labels)
            )
            value = reading.read()
            if isinstance(value, Mapping):
                for label, number in value.items():
                    family.add_metric([label], number)
            else:
                family.add_metric([], value)
            yield family
