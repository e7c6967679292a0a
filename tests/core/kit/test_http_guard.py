"""Where requests may go: every range, every spelling."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguinmails_core.kit.http_guard import (
    DENIED_PORTS,
    ForbiddenAddress,
    InvalidUrl,
    OutgoingError,
    check_address,
    check_url,
    display_url,
    forbidden_kind,
    parse_url,
)

PUBLIC = ["8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.0", "100.63.255.255", "100.128.0.0", "9.255.255.255",
          "11.0.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255", "192.167.255.255", "192.169.0.0",
     "223.255.255.255",
          "2606:4700::1111", "2a00:1450:4001::1", "2001:4860:4860::8888", "64:ff9b::808:808", "::ffff:8.8.8.8",
          "2606:4700::5efe:808:808"]  # fmt: skip
PRIVATE = ["127.0.0.1", "127.255.255.254", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.1.1",
           "100.64.0.1", "100.127.255.255", "::1", "fc00::1", "fd12:3456::1", "fec0::1", "::ffff:127.0.0.1",
           "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2606:4700::5efe:7f00:1",
           "2606:4700::200:5efe:a00:1"]  # fmt: skip
NEVER = ["0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.0.1", "168.63.129.16", "100.100.100.200", "192.0.0.192",
         "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1",
         "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "fe80::1", "fe80::1%eth0", "2606:4700::1%eth0",
         "ff02::1", "fd00:ec2::254", "2002:7f00:1::", "2002:808:808::1", "2001::1",
     "2001:0:4136:e378:8000:63bf:3fff:fdd2",
         "2001:db8::1", "2001:2::1", "2001:20::1", "3fff::1", "64:ff9b:1::1", "64:ff9b::a9fe:a9fe",
         "::ffff:169.254.169.254", "::127.0.0.1", "::ffff:0:127.0.0.1", "100::1", "5f00::1", "4000::1", "fe00::1",
         "not an address", "", "localhost"]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_called(address: str) -> None:
    check_address(address, allow_private=False)
    check_address(address, allow_private=True)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_only_when_allowed(address: str) -> None:
    check_address(address, allow_private=True)
    with pytest.raises(ForbiddenAddress) as caught:
        check_address(address, allow_private=False)
    assert address not in str(caught.value)  # the owner of a name must not learn our network from it


@pytest.mark.parametrize("address", NEVER)
@pytest.mark.parametrize("allow_private", [True, False])
def test_some_addresses_never(address: str, allow_private: bool) -> None:
    with pytest.raises(ForbiddenAddress):
        check_address(address, allow_private=allow_private)


@given(st.ip_addresses())
def test_nothing_the_standard_library_calls_special_is_public(address: ipaddress.IPv4Address) -> None:
    """An independent list as the oracle; ours is stricter, and differs where IPv6 only carries an IPv4 address."""
    if forbidden_kind(address) is None and getattr(address, "ipv4_mapped", None) is None:
        assert address.is_global or address in ipaddress.ip_network("64:ff9b::/96")
        assert not address.is_multicast


@given(st.ip_addresses(v=4))
def test_an_ipv6_address_that_carries_an_ipv4_one_is_judged_by_it(inner: ipaddress.IPv4Address) -> None:
    for prefix in ("::ffff:0:0", "64:ff9b::"):
        outer = ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) + int(inner))
        assert forbidden_kind(outer) == forbidden_kind(inner)


# One address in the spellings that resolvers of operating systems accept.
LOOPBACK_SPELLINGS = ["127.0.0.1", "127.0.0.1.", "2130706433", "017700000001", "0x7f000001", "0x7f.1",
     "0x7F.0x0.0x0.0x1",
                      "0177.0.0.01", "127.1", "127.0.1", "127.0.0.1:443", "[::1]", "[::ffff:127.0.0.1]",
     "[::ffff:7f00:1]",
                      "[0:0:0:0:0:0:0:1]", "[64:ff9b::127.0.0.1]", "１２７.０.０.１", "127。0。0。1", "①②⑦.⓪.⓪.①",
                      "localhost", "LOCALHOST", "localhost.", "a.localhost", "receiver", "db.internal"]  # fmt: skip


@pytest.mark.parametrize("host", LOOPBACK_SPELLINGS)
def test_no_spelling_of_loopback_gets_through(host: str) -> None:
    with pytest.raises(ForbiddenAddress):
        check_url(f"https://{host}/", allow_private=False)


@pytest.mark.parametrize(
    "host",
    [
        "0x7f.1",
        "2130706433",
        "017700000001",
        "127.1",
        "0177.0.0.1",
        "127.0.0.1.",
        "08.8.8.8",
        "0x08.8.8.8",
        "134744072",
    ],
)
def test_an_unusual_spelling_is_refused_even_when_the_address_is_allowed(host: str) -> None:
    with pytest.raises(InvalidUrl):
        check_url(f"https://{host}/", allow_private=True)


@pytest.mark.parametrize(
    "url",
    ["", "example.com", "//example.com/", "/hook", "https:", "https://", "https:///x", "https:example.com",
     "ftp://example.com/", "gopher://example.com/", "file:///etc/passwd", "javascript:alert(1)", "data:,x",
     "http://example.com/", "https://user@example.com/", "https://user:pw@example.com/", "https://@example.com/",
     "https://example.com@8.8.8.8/", "https://example.com\\@8.8.8.8/", "https://example.com:99999/",
     "https://example.com:0/", "https://example.com:-1/", "https://example.com:x/", "https://example.com:22/",
     "https://example.com:25/", "https://example.com:6379/", "https://example.com:5432/", "https://exa mple.com/",
     "https://example.com/a b", " https://example.com/", "https://example.com/\r\nHost: x", "https://example.com/\x00",
     "https://example.com/\u2028", "https://ex%61mple.com/", "https://127%2e0.0.1/", "https://exam_ple..com/",
     "https://-a.example/", "https://.example.com/", "https://256.1.1.1/", "https://1.2.3.4.5/", "https://1.2.3.999/",
     "https://0x1ffffffff/", "https://9999999999/", "https://08.1/", "https://a.0x7f/", "https://[::1", "https://::1/",
     "https://[fe80::1%25eth0]/", "https://[2606:4700::1%eth0]/", "https://[::g]/", "https://[v1.a]/", "https://[]/",
     "https://ex<ample.com/", "https://example.com／@x/", "https://example.com＠8.8.8.8/",
     "https://x" + "a" * 63 + ".com/",
     "https://" + "a." * 130 + "com/", "https://example.com/" + "a" * 2048, "https://xn--\u0430.com/",
     "https://*.example.com/", "https://example.com,example.org/", "https://$(id).example.com/"],
)  # fmt: skip
def test_refused_urls(url: str) -> None:
    with pytest.raises(InvalidUrl) as caught:
        check_url(url, allow_private=False)
    assert len(caught.value.detail) < 200


@pytest.mark.parametrize(
    ("url", "requested", "host", "port"),
    [
        ("https://example.com", "https://example.com/", "example.com", 443),
        ("HTTPS://Example.COM/Hook?B=c#part", "https://example.com/Hook?B=c", "example.com", 443),
        ("https://example.com./x", "https://example.com/x", "example.com", 443),
        ("https://example.com:443/x", "https://example.com/x", "example.com", 443),
        ("https://example.com:8443/x", "https://example.com:8443/x", "example.com", 8443),
        ("https://bücher.example/ü?q=ü", "https://xn--bcher-kva.example/%C3%BC?q=%C3%BC", "xn--bcher-kva.example", 443),
        ("https://a_b.example.com/", "https://a_b.example.com/", "a_b.example.com", 443),
        ("https://8.8.8.8/x", "https://8.8.8.8/x", "8.8.8.8", 443),
        ("https://[2606:4700::1111]:8443/x", "https://[2606:4700::1111]:8443/x", "2606:4700::1111", 8443),
        ("https://example.com?x=1", "https://example.com/?x=1", "example.com", 443),
    ],
)
def test_what_is_requested(url: str, requested: str, host: str, port: int) -> None:
    target = parse_url(url, allow_private=False)
    assert (str(target.url), target.host, target.port) == (requested, host, port)


@pytest.mark.parametrize(
    "rest", ["/a%2Fb/%7e/../c/./d//e", "/x?sig=a%2Bb+c%20d%3D%3D&y=%zz&z=a;b", "/?a=/?b=https://x.example"]
)
def test_path_and_query_stay_as_they_were_typed(rest: str) -> None:
    """Receivers sign their URLs; an equivalent one is not the same one."""
    assert str(parse_url("https://example.com" + rest, allow_private=False).url) == "https://example.com" + rest


def test_private_mode_still_refuses_what_is_never_right() -> None:
    for url in (
        "http://127.0.0.1:8080/",
        "http://localhost/",
        "http://receiver:8000/x",
        "https://[::1]/",
        "http://10.1.2.3/",
    ):
        check_url(url, allow_private=True)
    for url in ("http://169.254.169.254/latest/", "http://0.0.0.0/", "http://[fd00:ec2::254]/", "http://user@127.0.0.1/",
                "http://127.0.0.1:6379/", "ftp://127.0.0.1/"):  # fmt: skip
        with pytest.raises(OutgoingError):
            check_url(url, allow_private=True)


@given(st.text())
def test_any_text_is_refused_or_parsed(text: str) -> None:
    for url in (
        text,
        f"https://{text}",
        f"https://{text}.example.com/",
        f"https://example.com:{text}",
        f"https://example.com/{text}",
    ):
        try:
            target = parse_url(url, allow_private=False)
        except (InvalidUrl, ForbiddenAddress):
            continue
        assert target.url.scheme == "https"
        assert target.url.raw_host == target.host
        assert target.url.port == target.port
        assert target.port not in DENIED_PORTS
        assert target.url.user is None
        assert str(target.url).isascii()


def test_display_url_drops_what_may_be_secret() -> None:
    assert display_url("https://example.com/a?sig=secret#x") == "https://example.com/a"
    assert display_url("https://example.com/a#x?y") == "https://example.com/a"
