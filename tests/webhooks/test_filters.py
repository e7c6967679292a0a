"""The filter language: what it takes, what it means (against a plain second reading of the rules), and why not."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from penguinmails_core.events.types import EventType
from penguinmails_webhooks.events import example_event
from penguinmails_webhooks.filter_operators import OPERATORS
from penguinmails_webhooks.filters import (
    MAX_CLAUSES,
    MAX_DEPTH,
    FilterCache,
    InvalidFilter,
    compile_filter,
    explain,
    parse,
)

EVENT = example_event(EventType.EMAIL_BOUNCED) | {"tricky": {"a.b": 1, "rows": [{"n": 1}, {"n": "x"}, [{"n": 9}], 5]}}


def matches(predicate: Any, document: Any = EVENT) -> bool:
    return compile_filter(parse(predicate))(document)


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        ({"type": "email.bounced"}, True),
        ({"type": {"$eq": "email.sent"}}, False),
        ({"data.recipient.address": {"$endsWith": "@example.com"}}, True),
        ({"data": {"recipient": {"address": {"$startsWith": "ada@"}}}}, True),
        ({"data.smtp.code": {"$gte": 550, "$lt": 551}}, True),
        ({"data.smtp.code": {"$gt": 550}}, False),
        ({"data.smtp.code": {"$lte": 550}}, True),
        ({"data.smtp.code": {"$gt": "500"}}, False),
        ({"data.smtp.code": "550"}, False),
        ({"timestamp": {"$gte": "2026-11-24T00:00:00.000Z"}}, True),
        ({"data.tags": "order"}, True),
        ({"data.tags": {"$in": ["refund", "order"]}}, True),
        ({"data.tags": {"$nin": ["refund", "order"]}}, False),
        ({"data.tags": {"$ne": "order"}}, False),
        ({"data.tags": {"$contains": "order"}}, True),
        ({"data.tags": {"$contains": "ord"}}, False),
        ({"data.tags": {"$startsWith": "ord"}}, True),
        ({"data.subject": {"$contains": "iceberg"}}, True),
        ({"data.metadata.order_id": {"$exists": True}}, True),
        ({"data.metadata.nothing": {"$exists": False}}, True),
        ({"data.metadata.nothing": None}, True),
        ({"data.metadata.nothing": {"$ne": 1}}, True),
        ({"data.metadata.nothing.deeper": {"$gt": 1}}, False),
        ({"previous_sequence": None}, True),
        ({"previous_sequence": {"$exists": True}}, True),
        ({"previous_sequence": {"$in": [None, 3]}}, True),
        ({"sequence": True}, False),
        ({"sequence": 1.0}, True),
        ({"tricky.a\\.b": 1}, True),
        ({"tricky.a.b": {"$exists": True}}, False),
        ({"tricky.rows.n": 1}, True),
        ({"tricky.rows.n": "x"}, True),
        ({"tricky.rows.n": 9}, False),
        ({"tricky.rows": {"$contains": 5}}, True),
        ({"$or": [{"type": "email.sent"}, {"mode": "live"}]}, True),
        ({"$and": [{"type": "email.bounced"}, {"mode": "test"}]}, False),
        ({"$not": {"mode": "test"}}, True),
        ({"data.smtp.code": {"$not": {"$in": [550, 551]}}}, False),
        ({"data.smtp.code": {"$or": [{"$lt": 500}, {"$eq": 550}]}}, True),
        ({"data": {"$not": {"$exists": True}}}, False),
        ({"data": {"smtp": {"code": 550}, "$or": [{"tags": "x"}, {"subject": "x"}]}}, False),
        ({"data": {"smtp": {"code": 550, "$exists": True}, "$or": [{"tags": "order"}, {"subject": "x"}]}}, True),
    ],
)
def test_meaning(predicate: Any, expected: bool) -> None:
    assert matches(predicate) is expected
    assert explain(parse(predicate), EVENT).matches is expected


@pytest.mark.parametrize(
    ("given", "pointer", "code"),
    [
        ([], "/filter", "invalid_type"),
        ("x", "/filter", "invalid_type"),
        ({}, "/filter", "empty"),
        ({"$and": []}, "/filter/$and", "invalid_type"),
        ({"$or": {"a": 1}}, "/filter/$or", "invalid_type"),
        ({"$not": []}, "/filter/$not", "invalid_type"),
        ({"$eq": 1}, "/filter/$eq", "misplaced_operator"),
        ({"$regex": "x"}, "/filter/$regex", "unknown_operator"),
        ({"a": {"$regex": "x"}}, "/filter/a/$regex", "unknown_operator"),
        ({"a": {"$gt": True}}, "/filter/a/$gt", "invalid_type"),
        ({"a": {"$in": 3}}, "/filter/a/$in", "invalid_type"),
        ({"a": {"$in": [{}]}}, "/filter/a/$in", "invalid_type"),
        ({"a": {"$in": list(range(101))}}, "/filter/a/$in", "too_many"),
        ({"a": {"$exists": 1}}, "/filter/a/$exists", "invalid_type"),
        ({"a": {"$startsWith": ""}}, "/filter/a/$startsWith", "empty"),
        ({"a": {"$contains": "x" * 1001}}, "/filter/a/$contains", "too_long"),
        ({"a": {"$eq": {"b": 1}}}, "/filter/a/$eq", "invalid_type"),
        ({"a": {"$eq": float("nan")}}, "/filter/a/$eq", "invalid_type"),
        ({"a": "b\0"}, "/filter/a", "control_character"),
        ({"a\0": 1}, "/filter/a\0", "invalid_path"),
        ({"a..b": 1}, "/filter/a..b", "invalid_path"),
        ({"": 1}, "/filter/", "invalid_path"),
        ({"a/b~c": {"$gt": None}}, "/filter/a~1b~0c/$gt", "invalid_type"),
        ({"a": [1, 2]}, "/filter/a", "invalid_type"),
        ({"a": {}}, "/filter/a", "empty"),
        ({".".join("a" * 13): 1}, "/filter/" + ".".join("a" * 13), "too_long"),
        ({"$or": [{"a": 1}, {"b": {"$lt": []}}]}, "/filter/$or/1/b/$lt", "invalid_type"),
        ({"a": 2**70}, "/filter", "invalid_json"),
        ({"a": "\ud800"}, "/filter", "invalid_json"),
        ({"a": {"$in": ["x" * 900] * 10}}, "/filter", "too_long"),
        ({f"a{n}": n for n in range(MAX_CLAUSES + 1)}, "/filter", "too_many"),
    ],
)
def test_what_is_refused_and_where(given: Any, pointer: str, code: str) -> None:
    with pytest.raises(InvalidFilter) as caught:
        parse(given)
    assert (pointer, code) in [(error.pointer, error.code) for error in caught.value.errors]


def test_depth_is_limited() -> None:
    def nested(levels: int) -> Any:
        return {"a": 1} if levels == 1 else {"$not": nested(levels - 1)}

    parse(nested(MAX_DEPTH - 1))
    with pytest.raises(InvalidFilter, match="deep"):
        parse(nested(MAX_DEPTH + 1))
    with pytest.raises(InvalidFilter):
        parse(nested(400))


def test_all_errors_are_told_at_once() -> None:
    with pytest.raises(InvalidFilter) as caught:
        parse({"a": {"$gt": None}, "$nor": [], "b": []}, pointer="/x")
    assert [error.pointer for error in caught.value.errors] == ["/x/a/$gt", "/x/$nor", "/x/b"]


def test_an_explanation_names_what_decided() -> None:
    given = {
        "type": "email.bounced",
        "$or": [{"data.smtp.code": {"$lt": 500}}, {"data.tags": "refund"}],
        "$not": {"mode": "live"},
    }
    found = explain(parse(given), EVENT)
    assert not found.matches
    assert found.failed == ("/filter/$or/0/data.smtp.code/$lt", "/filter/$or/1/data.tags", "/filter/$not")
    by_pointer = {result.clause.pointer: result for result in found.clauses}
    assert by_pointer["/filter/type"].holds
    assert by_pointer["/filter/$or/0/data.smtp.code/$lt"].found == (550,)
    assert by_pointer["/filter/$or/1/data.tags"].found == (["order"], "order")
    assert explain(parse({"type": "email.bounced"}), EVENT).failed == ()


def test_the_cache_follows_changes(caplog: pytest.LogCaptureFixture) -> None:
    cache = FilterCache(size=2)
    first = cache.get("one", 1, '{"a": 1}')
    assert cache.get("one", 1, '{"a": 1}') is first
    changed = cache.get("one", 2, '{"a": 2}')
    assert (first({"a": 1}), changed({"a": 1}), changed({"a": 2})) == (True, False, True)
    with caplog.at_level(logging.CRITICAL):
        assert cache.get("broken", 1, '{"$regex": 1}')({}) is True
    for number in range(5):
        cache.get(number, 1, '{"a": 1}')
    assert len(cache._kept) <= 2


# A second reading of the rules, as plain as possible.

NAMES = st.sampled_from(["a", "b", "c"])
SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "ab", "b", "1"]) | st.just(1.5)
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=12
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(".".join)
COMPARISONS = st.one_of(
    SCALARS,
    st.tuples(st.sampled_from(["$eq", "$ne"]), SCALARS),
    st.tuples(st.sampled_from(["$in", "$nin"]), st.lists(SCALARS, min_size=1, max_size=3)),
    st.tuples(
        st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), st.integers(-3, 3) | st.sampled_from(["", "a", "ab", "b"])
    ),
    st.tuples(st.sampled_from(["$startsWith", "$endsWith"]), st.sampled_from(["a", "ab", "b"])),
    st.tuples(st.just("$contains"), st.sampled_from(["a", "b", 1, None, True])),
    st.tuples(st.just("$exists"), st.booleans()),
).map(lambda found: dict([found]) if isinstance(found, tuple) else found)
PREDICATES = st.recursive(
    st.dictionaries(PATHS, COMPARISONS, min_size=1, max_size=2),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda found: {"$and": found}),
        st.lists(inner, min_size=1, max_size=3).map(lambda found: {"$or": found}),
        inner.map(lambda found: {"$not": found}),
    ),
    max_leaves=5,
)


def naive(predicate: Any, document: Any) -> bool:
    verdicts = []
    for key, value in predicate.items():
        if key == "$and":
            verdicts.append(all(naive(item, document) for item in value))
        elif key == "$or":
            verdicts.append(any(naive(item, document) for item in value))
        elif key == "$not":
            verdicts.append(not naive(value, document))
        else:
            conditions = value if isinstance(value, dict) else {"$eq": value}
            for operator, operand in conditions.items():
                verdicts.append(naive_comparison(operator, operand, standing(document, key.split("."))))
    return all(verdicts)


def standing(value: Any, names: list[str]) -> list[Any]:
    if not names:
        return [value]
    if isinstance(value, dict):
        return standing(value[names[0]], names[1:]) if names[0] in value else []
    if isinstance(value, list):
        return [found for item in value if isinstance(item, dict) for found in standing(item, names)]
    return []


def same(left: Any, right: Any) -> bool:
    return isinstance(left, bool) == isinstance(right, bool) and left == right


def naive_comparison(operator: str, operand: Any, values: list[Any]) -> bool:
    each = [*values, *(item for value in values if isinstance(value, list) for item in value)]
    if operator == "$eq":
        return any(same(value, operand) for value in each) or (operand is None and not values)
    if operator == "$ne":
        return not naive_comparison("$eq", operand, values)
    if operator == "$in":
        return any(naive_comparison("$eq", item, values) for item in operand)
    if operator == "$nin":
        return not naive_comparison("$in", operand, values)
    if operator == "$exists":
        return bool(values) is bool(operand)
    if operator == "$contains":
        in_text = isinstance(operand, str) and any(isinstance(v, str) and operand in v for v in values)
        return in_text or any(isinstance(v, list) and any(same(item, operand) for item in v) for v in values)
    if operator in ("$startsWith", "$endsWith"):
        texts = [value for value in each if isinstance(value, str)]
        return any(
            value.startswith(operand) if operator == "$startsWith" else value.endswith(operand) for value in texts
        )
    kind: Any = str if isinstance(operand, str) else (int, float)
    alike = [value for value in each if isinstance(value, kind) and not isinstance(value, bool)]
    verdicts = [{"$gt": v > operand, "$gte": v >= operand, "$lt": v < operand, "$lte": v <= operand} for v in alike]
    return any(bool(verdict[operator]) for verdict in verdicts)


@settings(max_examples=600, deadline=None)
@given(PREDICATES, DOCUMENTS)
def test_agrees_with_the_plain_reading(predicate: Any, document: Any) -> None:
    try:
        node = parse(predicate)
    except InvalidFilter as error:
        codes = {item.code for item in error.errors}
    else:
        codes = set()
    assert codes <= {"too_deep", "too_many"}
    assume(not codes)
    expected = naive(predicate, document)
    assert compile_filter(node)(document) is expected
    found = explain(node, document)
    assert found.matches is expected
    assert bool(found.failed) is not expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(list(OPERATORS)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=4) | st.sampled_from([*OPERATORS, "$and", "$or", "$not"]), inner, max_size=3)
    ),
    max_leaves=20,
)


@settings(max_examples=400, deadline=None)
@given(JSON, JSON)
def test_never_raises_on_odd_data(predicate: Any, document: Any) -> None:
    try:
        node = parse(predicate)
    except InvalidFilter:
        return
    assert compile_filter(node)(document) in (True, False)
    explain(node, document)
