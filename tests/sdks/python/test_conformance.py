"""Every scenario of sdks/conformance, with the blocking and with the asynchronous client."""

from __future__ import annotations

import asyncio
import inspect
import json
import keyword
from pathlib import Path
from typing import Any

import pytest
from penguinmails import AsyncPenguinMails, PenguinMails

from tests.sdks.scripted_server import Received, Reply, ScriptedServer

FOLDER = Path(__file__).parents[3] / "sdks" / "conformance" / "scenarios"
SCENARIOS = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


def _python_names(arguments: dict[str, Any]) -> dict[str, Any]:
    return {f"{name}_" if keyword.iskeyword(name) else name: value for name, value in arguments.items()}


def _call_blocking(url: str, call: dict[str, Any]) -> Any:
    with PenguinMails("pm_test_key", base_url=url, **call.get("client", {})) as client:
        method = getattr(getattr(client, call["resource"]), call["method"])
        found = method(**_python_names(call["args"]), **call.get("options", {}))
        return list(found) if call.get("iterate") else found


def _call_async(url: str, call: dict[str, Any]) -> Any:
    async def run() -> Any:
        async with AsyncPenguinMails("pm_test_key", base_url=url, **call.get("client", {})) as client:
            method = getattr(getattr(client, call["resource"]), call["method"])
            found = method(**_python_names(call["args"]), **call.get("options", {}))
            if call.get("iterate"):
                return [item async for item in found]
            return await found

    return asyncio.run(run())


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.to_dict() if hasattr(value, "to_dict") else value


def _same(expected: Any, actual: Any, place: str = "result") -> None:
    """Objects may have more members than expected, lists may not; times are compared as times."""
    if isinstance(expected, dict):
        assert isinstance(actual, dict), place
        for name, value in expected.items():
            assert name in actual, f"{place}.{name} is missing"
            _same(value, actual[name], f"{place}.{name}")
    elif isinstance(expected, list):
        assert isinstance(actual, list), place
        assert len(actual) == len(expected), place
        for index, (one, other) in enumerate(zip(expected, actual, strict=True)):
            _same(one, other, f"{place}.{index}")
    elif place.endswith("_at") and isinstance(expected, str):
        assert actual.replace("+00:00", "Z").replace(".000", "") == expected.replace("+00:00", "Z").replace(".000", "")
    else:
        assert actual == expected, place


def _check_request(expect: dict[str, Any], request: Received) -> None:
    for name in ("method", "path"):
        if name in expect:
            assert getattr(request, name) == expect[name]
    if "query" in expect:
        assert sorted(map(list, request.query)) == sorted(expect["query"])
    if "body" in expect:
        assert request.json == expect["body"]
    for name, value in expect.get("headers", {}).items():
        assert request.headers.get(name) == value, name


def _check_error(expect: dict[str, Any], error: Exception) -> None:
    assert type(error).__name__ == expect["class"], repr(error)
    for name in ("status_code", "code", "detail", "request_id", "retry_after"):
        if name in expect:
            assert getattr(error, name) == expect[name], name
    if "errors" in expect:
        found = getattr(error, "errors")  # noqa: B009
        assert [{"pointer": e.pointer, "code": e.code, "detail": e.detail} for e in found] == expect["errors"]


def test_there_are_scenarios() -> None:
    assert len(SCENARIOS) > 30


@pytest.mark.parametrize("flavour", ["blocking", "async"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str, flavour: str) -> None:
    scenario = SCENARIOS[name]
    call = _call_blocking if flavour == "blocking" else _call_async
    replies = [Reply(**exchange["reply"]) for exchange in scenario["exchanges"]]
    with ScriptedServer(replies) as server:
        if "error" in scenario:
            with pytest.raises(Exception) as caught:  # noqa: PT011 - the scenario names the class
                call(server.url, scenario["call"])
            _check_error(scenario["error"], caught.value)
        else:
            _same(scenario["result"], _plain(call(server.url, scenario["call"])))
    assert len(server.requests) == len(scenario["exchanges"])
    for exchange, request in zip(scenario["exchanges"], server.requests, strict=True):
        _check_request(exchange["expect"], request)
    if scenario.get("one_key"):
        keys = {request.headers["idempotency-key"] for request in server.requests}
        assert len(keys) == 1
        assert keys.pop().startswith("auto_")


def test_both_clients_have_the_same_methods() -> None:
    def shape(kind: type) -> dict[str, list[tuple[str, list[str]]]]:
        client = kind("pm_test_key")
        try:
            found = {}
            for resource in ("emails", "events", "me", "webhook_endpoints"):
                methods = inspect.getmembers(getattr(client, resource), inspect.ismethod)
                public = [(name, method) for name, method in methods if not name.startswith("_")]
                found[resource] = [(name, list(inspect.signature(method).parameters)) for name, method in public]
            return found
        finally:
            closed = client.close()
            if inspect.iscoroutine(closed):
                asyncio.run(closed)

    assert shape(PenguinMails) == shape(AsyncPenguinMails)
