"""Who gets a way out, and what may be said of it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from penguinmails_core.errors import Unprocessable
from tests.fixtures.mail import draft, principal


def options_of(**fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(draft(principal(), **fields).rows.message[-1])
    return found


def refused(**fields: Any) -> list[tuple[str, str]]:
    with pytest.raises(Unprocessable) as caught:
        draft(principal(), **fields)
    return [(error.pointer, error.code) for error in caught.value.errors]


def test_transactional_mail_asks_for_nothing_by_itself() -> None:
    assert options_of() == {}
    assert options_of(unsubscribe={"enabled": False}) == {}


def test_campaign_mail_can_always_be_left() -> None:
    assert options_of(message_class="campaign") == {"unsubscribe": {}}
    assert refused(message_class="campaign", unsubscribe={"enabled": False}) == [
        ("/unsubscribe/enabled", "unsubscribe_required")
    ]


def test_transactional_mail_can_on_request() -> None:
    assert options_of(unsubscribe={}) == {"unsubscribe": {}}
    assert options_of(unsubscribe={"list": "product-news"}) == {"unsubscribe": {"list": "product-news"}}


def test_an_own_header_is_the_callers_business() -> None:
    own = {"List-Unsubscribe": "<https://acme.test/leave>"}
    assert options_of(message_class="campaign", headers=own) == {}
    assert options_of(message_class="campaign", headers=own, unsubscribe={"enabled": False}) == {}
    assert refused(headers=own, unsubscribe={"list": "news"}) == [("/unsubscribe", "unsubscribe_twice")]


@pytest.mark.parametrize("name", ["", "News", "-news", "news-", "new s", "ä", "n" * 65, "a\0b"])
def test_names_of_lists(name: str) -> None:
    assert refused(unsubscribe={"list": name}) == [("/unsubscribe/list", "invalid_list")]


def test_a_list_without_a_way_out_is_a_mistake() -> None:
    assert refused(unsubscribe={"enabled": False, "list": "news"}) == [("/unsubscribe/list", "not_used")]
