"""Which headers an endpoint may ask for."""

from __future__ import annotations

import pytest

from penguinmails_core.webhook_endpoints.headers import MAX_HEADERS, MAX_NAME, MAX_VALUE, check_headers, check_together


@pytest.mark.parametrize(
    "given",
    [
        {"Authorization": "Bearer abc"},
        {"X-Env": "production", "x-team": "a b\tc"},
        {"Cookie": "a=b"},
        {"!#$%&'*+.^_`|~": "x"},
        {f"X-{number}": "v" for number in range(MAX_HEADERS)},
    ],
)
def test_taken(given: dict[str, str]) -> None:
    assert check_headers(given, "/headers") == []


@pytest.mark.parametrize(
    "name",
    [
        *("Host", "CONNECTION", "Keep-Alive", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Expect", "Via", "Date"),
        *("Content-Length", "content-type", "Content-Encoding", "Proxy-Authorization", "Proxy-Connection"),
        *("webhook-id", "Webhook-Signature", "webhook-anything", "User-Agent", "Accept-Encoding", "X-Forwarded-For"),
    ],
)
def test_what_frames_the_request_or_is_ours_is_refused(name: str) -> None:
    [error] = check_headers({name: "x"}, "/headers")
    assert (error.pointer, error.code) == (f"/headers/{name}", "reserved_header")


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "a\0", "é", "X-\ud800", "x" * (MAX_NAME + 1)])
def test_names(name: str) -> None:
    [error] = check_headers({name: "x"}, "/headers")
    assert error.code in ("invalid_header", "too_long")


@pytest.mark.parametrize("value", ["", " a", "a ", "a\r\nX: y", "a\0", "é", "\ud800", "x" * (MAX_VALUE + 1)])
def test_values(value: str) -> None:
    [error] = check_headers({"X-A": value}, "/secret_headers")
    assert error.pointer == "/secret_headers/X-A"
    assert value == "" or value not in error.detail  # nothing secret in an error


def test_twice_and_too_many() -> None:
    assert [error.code for error in check_headers({"X-A": "1", "x-a": "2"}, "/headers")] == ["duplicate"]
    many = {f"X-{number}": "v" for number in range(MAX_HEADERS + 1)}
    assert [error.code for error in check_headers(many, "/headers")] == ["too_many"]
    assert [error.pointer for error in check_together({"X-A": "1"}, ["x-a"])] == ["/headers/X-A"]
    half = {f"X-{number}": "v" for number in range(MAX_HEADERS // 2 + 1)}
    assert [error.code for error in check_together(half, [f"Y-{name}" for name in half])] == ["too_many"]
    assert check_together({"X-A": "1"}, ["X-B"]) == []
