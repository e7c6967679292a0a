"""HTTP/1.1 as bytes: the same answer however it is cut into pieces, and no tricks."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguinmails_core.kit.http_guard import BrokenResponse, InvalidRequest
from penguinmails_core.kit.http_message import MAX_HEAD, MAX_HEADERS, Headers, ResponseReader, request_bytes

LIMIT = 100
OK = b"HTTP/1.1 200 OK\r\n"
Outcome = tuple[object, ...]


def read(pieces: list[bytes], *, closed: bool = True, bodyless: bool = False) -> Outcome:
    """What comes of an answer in these pieces. Bytes beyond its end are not fed, as the client would not either."""
    reader = ResponseReader(LIMIT, bodyless=bodyless)
    try:
        if not any(reader.feed(piece) for piece in pieces if piece):
            if not closed:
                return ("more",)
            reader.end()
    except BrokenResponse:
        return ("broken",)
    return reader.status, dict(reader.headers), reader.body, reader.truncated


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(edges)]


names = st.from_regex(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}", fullmatch=True).filter(
    lambda name: name.lower() not in ("content-length", "transfer-encoding", "connection", "keep-alive")
)
values = st.from_regex(r"[\t -~]{0,30}", fullmatch=True)
fields = st.dictionaries(names.map(str.lower), values, max_size=6)
cuts = st.lists(st.integers(0, 100_000), max_size=12)


@st.composite
def answers(draw: st.DrawFn) -> tuple[bytes, Outcome, bool]:
    """(a valid answer, what it says, whether the connection may be used again)."""
    status = draw(st.sampled_from([200, 201, 204, 302, 304, 400, 410, 503]))
    headers = draw(fields)
    body = draw(st.binary(max_size=3 * LIMIT))
    framing = draw(st.sampled_from(["length", "chunked", "close"]))
    interim = draw(
        st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n"])
    )
    head = f"HTTP/1.1 {status}{draw(st.sampled_from(['', ' ', ' OK', ' A reason']))}\r\n"
    for name, value in headers.items():
        head += f"{name}:{draw(st.sampled_from(['', ' ', chr(9)]))}{value}\r\n"
    seen = {name: value.strip(" \t") for name, value in headers.items()}
    if status in (204, 304):
        return interim + head.encode() + b"\r\n", (status, seen, b"", False), True
    long = len(body) > LIMIT
    outcome = body[:LIMIT], long
    if framing == "length":
        data = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        return interim + data, (status, seen | {"content-length": str(len(body))}, *outcome), not long
    if framing == "close":
        return interim + f"{head}\r\n".encode() + body, (status, seen, *outcome), False
    data = f"{head}Transfer-Encoding: chunked\r\n\r\n".encode()
    for piece in cut(body, draw(cuts)) if body else []:
        extension = draw(st.sampled_from([b"", b";a=b", b' ; x="y"']))
        data += f"{len(piece):x}".encode() + extension + b"\r\n" + piece + b"\r\n"
    data += b"0\r\n" + draw(st.sampled_from([b"", b"X-Check: 1\r\n", b"A: b\r\nC: d\r\n"])) + b"\r\n"
    return interim + data, (status, seen | {"transfer-encoding": "chunked"}, *outcome), not long


@given(answers(), cuts)
def test_an_answer_is_the_same_however_it_arrives(answer: tuple[bytes, Outcome, bool], places: list[int]) -> None:
    data, expected, reusable = answer
    for pieces in ([data], cut(data, places), [bytes([byte]) for byte in data]):
        assert read(pieces) == expected
        reader = ResponseReader(LIMIT)
        for piece in pieces:
            if reader.feed(piece):
                break
        assert reader.reusable == reusable


@given(answers(), st.binary(min_size=1, max_size=50))
def test_what_follows_an_answer_is_never_another_answer(answer: tuple[bytes, Outcome, bool], more: bytes) -> None:
    data, expected, reusable = answer
    reader = ResponseReader(LIMIT)
    assert reader.feed(data + more) or not reusable
    if reusable:
        assert not reader.reusable
        assert (reader.status, dict(reader.headers), reader.body, reader.truncated) == expected


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(answers())[0])
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data)))
        junk = draw(
            st.one_of(st.binary(max_size=4), st.sampled_from([b"\r\n", b"\n", b"\0", b": ", b"\r\n\r\n", b"0"]))
        )
        data[place : place + draw(st.integers(0, 3))] = junk
    return bytes(data)


@given(st.one_of(st.binary(max_size=300), st.binary(max_size=100).map(lambda junk: OK + junk), damaged()), cuts)
def test_garbage_is_refused_or_read_and_in_pieces_no_differently(data: bytes, places: list[int]) -> None:
    """Nothing but `BrokenResponse` is raised (`read` would let it through), and nothing hangs."""
    whole = read([data])
    assert read(cut(data, places)) == whole
    assert read([bytes([byte]) for byte in data]) == whole
    read([data], bodyless=True)


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", id="two lengths"),
        pytest.param(b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na", id="one length twice"),
        pytest.param(b"Content-Length: 1, 1\r\n\r\na", id="a list of lengths"),
        pytest.param(b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="length and chunks"),
        pytest.param(b"Content-Length: +1\r\n\r\na", id="a sign"),
        pytest.param(b"Content-Length: -1\r\n\r\na", id="a negative length"),
        pytest.param(b"Content-Length: 0x1\r\n\r\na", id="hexadecimal"),
        pytest.param(b"Content-Length: 1_0\r\n\r\n" + b"a" * 10, id="an underscore"),
        pytest.param("Content-Length: ١\r\n\r\na".encode(), id="a digit of another script"),
        pytest.param(b"Content-Length: 1 1\r\n\r\na", id="a space inside"),
        pytest.param(b"Content-Length:\r\n\r\n", id="an empty length"),
        pytest.param(b"Content-Length: 99999999999999999999\r\n\r\n", id="a length beyond 64 bits"),
        pytest.param(b"Content-Length : 1\r\n\r\na", id="a space before the colon"),
        pytest.param(b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", id="another coding"),
        pytest.param(b"Transfer-Encoding: identity\r\n\r\n", id="identity"),
        pytest.param(b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", id="nearly chunked"),
        pytest.param(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="chunked twice"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n", id="a chunk size with 0x"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n 1\r\na\r\n0\r\n\r\n", id="a chunk size after a space"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n", id="a chunk size and a bare line feed"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", id="a chunk longer than its size"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 17 + b"\r\n", id="a chunk size beyond 64 bits"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * 2000 + b"\r\na\r\n", id="a long extension"),
        pytest.param(
            b"Transfer-Encoding: chunked\r\n\r\n" + (b"1;" + b"x" * 900 + b"\r\na\r\n") * 20, id="many extensions"
        ),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: a\nY: b\r\n\r\n", id="a bare line feed in a trailer"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 10_000, id="endless trailers"),
        pytest.param(b"X: a\r\n folded\r\n\r\n", id="a folded line"),
        pytest.param(b"X: a\nY: b\r\n\r\n", id="a bare line feed"),
        pytest.param(b"X: a\rY: b\r\n\r\n", id="a bare carriage return"),
        pytest.param(b"X: a\0b\r\n\r\n", id="a NUL"),
        pytest.param(b"X\r\n\r\n", id="no colon"),
        pytest.param(b": x\r\n\r\n", id="no name"),
        pytest.param(b"X y: z\r\n\r\n", id="a space in a name"),
        pytest.param("Ü: z\r\n\r\n".encode(), id="a letter that is none in names"),
        pytest.param(b"X: y\r\n" * (MAX_HEADERS + 1) + b"\r\n", id="too many headers"),
        pytest.param(b"X: " + b"y" * MAX_HEAD + b"\r\n\r\n", id="too long a header"),
        pytest.param(b"x" * 300 + b": y\r\n\r\n", id="too long a name"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(head: bytes) -> None:
    data = OK + head
    assert read([data], closed=False) == ("broken",)
    assert read([bytes([byte]) for byte in data], closed=False) == ("broken",)


@pytest.mark.parametrize(
    "data",
    [b"HTTP/2 200 OK\r\n\r\n", b"HTTP/1.2 200 OK\r\n\r\n", b"http/1.1 200 OK\r\n\r\n", b"HTTP/1.1  200 OK\r\n\r\n",
     b"HTTP/1.1 20 OK\r\n\r\n", b"HTTP/1.1 2000 OK\r\n\r\n", b"HTTP/1.1 +20 OK\r\n\r\n", b"HTTP/1.1 000 OK\r\n\r\n",
     b"HTTP/1.1 200 O\0K\r\n\r\n", b"\r\nHTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
     b"HTTP/1.1 100 Continue\r\n\r\n" * 20, b"HTTP/1.1 200 OK\n\n", b"220 mail.example.com ESMTP\r\n", b"+PONG\r\n",
     b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/0.9 200 OK\r\n\r\n"],
)  # fmt: skip
def test_what_is_not_http_is_refused_at_once(data: bytes) -> None:
    assert read([data], closed=False) == ("broken",)


def test_http_1_0_is_read_and_not_kept_unless_it_says_so() -> None:
    for head, kept in ((b"", False), (b"Connection: Keep-Alive\r\n", True)):
        reader = ResponseReader(LIMIT)
        assert reader.feed(b"HTTP/1.0 200 OK\r\n" + head + b"Content-Length: 1\r\n\r\na")
        assert (reader.body, reader.reusable) == (b"a", kept)


def test_what_the_other_side_says_of_the_connection() -> None:
    for head, kept, seconds in (
        (b"Connection: close\r\n", False, None),
        (b"Connection: x, CLOSE\r\n", False, None),
        (b"Keep-Alive: timeout=5, max=100\r\n", True, 5.0),
        (b"Keep-Alive: nonsense\r\n", True, None),
    ):
        reader = ResponseReader(LIMIT)
        assert reader.feed(OK + head + b"Content-Length: 0\r\n\r\n")
        assert (reader.reusable, reader.idle_seconds) == (kept, seconds)


def test_an_answer_to_head_has_no_body() -> None:
    reader = ResponseReader(LIMIT, bodyless=True)
    assert reader.feed(OK + b"Content-Length: 1000\r\n\r\n")
    assert (reader.body, reader.truncated, reader.reusable) == (b"", False, True)


def test_a_body_announced_with_204_costs_the_connection() -> None:
    for head in (b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"):
        reader = ResponseReader(LIMIT)
        assert reader.feed(b"HTTP/1.1 204 No Content\r\n" + head + b"\r\n")
        assert (reader.body, reader.reusable) == (b"", False)


def test_tiny_chunks_are_given_up_on() -> None:
    reader = ResponseReader(1_000_000)
    assert reader.feed(OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 100_000)
    assert reader.truncated
    assert not reader.reusable
    assert len(reader.body) < 10_000


def test_headers_in_any_case_and_several_of_one_name() -> None:
    reader = ResponseReader(LIMIT)
    reader.feed(OK + b"X-One: a\r\nx-one:  b \r\nX-Two: \xff\r\nContent-Length: 0\r\n\r\n")
    headers = reader.headers
    assert headers["x-ONE"] == headers["X-One"] == "a, b"
    assert headers["x-two"] == "\ufffd"
    assert headers.get("missing") is None
    assert "X-TWO" in headers
    assert list(headers) == ["x-one", "x-two", "content-length"]
    assert "secret" not in repr(Headers({}))


def test_a_request_as_bytes() -> None:
    data = request_bytes("POST", "/a?b", "example.com", "A: b\r\n", {"X": "é\t~"}, b"body")
    assert data == b"POST /a?b HTTP/1.1\r\nHost: example.com\r\nA: b\r\nX: \xc3\xa9\t~\r\nContent-Length: 4\r\n\r\nbody"
    assert request_bytes("GET", "/", "h", "", None, None) == b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    assert request_bytes("POST", "/", "h", "", None, None).endswith(b"\r\nContent-Length: 0\r\n\r\n")


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_header_is_one_line_or_refused(name: str, value: str) -> None:
    try:
        data = request_bytes("POST", "/", "h", "", {name: value}, b"")
    except InvalidRequest:
        return
    assert data.count(b"\r\n") == data.count(b"\n") == data.count(b"\r") == 5
    assert data.split(b"\r\n")[2] == f"{name}: {value}".encode()


@pytest.mark.parametrize("method", ["", "get", "GET /x", "GET\r\nX: y", "G\0T", "PÖST", "A" * 21])
def test_methods_that_are_none(method: str) -> None:
    with pytest.raises(InvalidRequest):
        request_bytes(method, "/", "h", "", None, None)
