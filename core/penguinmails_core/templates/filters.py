"""Filters beyond standard Liquid; docs/templates.md lists them all."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from liquid import Environment
from liquid.exceptions import FilterArgumentError

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


def titlecase(value: object) -> str:
    """`ada lovelace` -> `Ada Lovelace`; the rest of each word stays as it is."""
    return _WORD.sub(lambda word: word[0][:1].upper() + word[0][1:], str(value))


def number_with_delimiter(value: object, delimiter: object = ",") -> str:
    """`1234567.5` -> `1,234,567.5`."""
    return f"{_number(value):,}".replace(",", str(delimiter))


def percentage(value: object, digits: object = 0) -> str:
    """`0.256` -> `26%`."""
    return f"{_rounded(_number(value) * 100, digits)}%"


def currency(value: object, code: object = "", digits: object = 2) -> str:
    """`1234.5 | currency: "EUR"` -> `EUR 1,234.50`."""
    return f"{code} {_rounded(_number(value), digits):,}".strip()


def _number(value: object) -> Decimal:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise FilterArgumentError(f"{str(value)[:50]!r} is not a number", token=None) from None
    if not number.is_finite() or abs(number.adjusted()) > 30:
        raise FilterArgumentError("the number is too large", token=None)
    return number


def _rounded(number: Decimal, digits: object) -> Decimal:
    if not isinstance(digits, int) or not 0 <= digits <= 10:
        raise FilterArgumentError("digits must be 0 to 10", token=None)
    return number.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)


OWN: dict[str, Any] = {
    "titlecase": titlecase,
    "number_with_delimiter": number_with_delimiter,
    "percentage": percentage,
    "currency": currency,
}


def register(environment: Environment) -> None:
    environment.filters.update(OWN)
