"""Who it was: each rule with a hit that it is for, and hits that must not fool them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from penguinmails_core.kit.clock import utcnow
from penguinmails_core.tracking.rules import VERDICTS, Hit, judge, rules

NOW = utcnow()
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"
)
OUTLOOK = "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; WOW64; Trident/7.0; ms-office; MSOffice 16)"
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
CLICK = Hit("click", NOW, user_agent=CHROME, delivered_at=NOW - timedelta(hours=1), burst=1, links=4)
OPEN = Hit("open", NOW, user_agent=OUTLOOK, delivered_at=NOW - timedelta(hours=1), links=4)
SOON = {"delivered_at": NOW - timedelta(seconds=2)}


@pytest.mark.parametrize(
    ("hit", "changes", "rule", "verdict"),
    [
        (CLICK, {}, "browser_click", "human"),
        (CLICK, {"method": "HEAD"}, "not_get", "scanner"),
        (CLICK, {"delivered_at": NOW + timedelta(seconds=1)}, "before_delivery", "scanner"),
        (CLICK, {"burst": 3}, "all_links_at_once", "scanner"),
        (CLICK, {"burst": 2, "links": 2}, "all_links_at_once", "scanner"),
        (CLICK, {"burst": 2}, "browser_click", "human"),
        (CLICK, {"burst": 1, "links": 1}, "browser_click", "human"),
        (CLICK, {"user_agent": "BarracudaCentral/1.0"}, "security_product", "scanner"),
        (CLICK, {"user_agent": CHROME + " Proofpoint"}, "security_product", "scanner"),
        (CLICK, {"user_agent": "Slackbot-LinkExpanding 1.0"}, "link_preview", "scanner"),
        (CLICK, {"user_agent": "python-requests/2.32"}, "robot_by_name", "scanner"),
        (CLICK, {"user_agent": "Mozilla/5.0 (compatible; Googlebot/2.1)"}, "robot_by_name", "scanner"),
        (CLICK, SOON, "click_at_delivery", "scanner"),
        (CLICK, {"delivered_at": None}, "browser_click", "human"),
        (CLICK, {"user_agent": None}, "no_user_agent", "scanner"),
        (CLICK, {"user_agent": "Something"}, "not_known", "unknown"),
        (CLICK, {"prefetch": True}, "prefetch", "proxy"),
        (OPEN, {}, "mail_program_open", "human"),
        (OPEN, {"user_agent": GMAIL}, "gmail_image_proxy", "proxy"),
        (OPEN, {"user_agent": GMAIL, **SOON}, "gmail_image_proxy", "proxy"),
        (OPEN, {"user_agent": "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"},
         "yahoo_image_proxy", "proxy"),
        (OPEN, {"user_agent": "Mozilla/5.0"}, "apple_mail_privacy", "proxy"),
        (OPEN, SOON, "open_at_delivery", "proxy"),
        (OPEN, {"burst": 4}, "mail_program_open", "human"),
    ],
)  # fmt: skip
def test_verdicts(hit: Hit, changes: dict[str, Any], rule: str, verdict: str) -> None:
    found = judge(replace(hit, **changes))
    assert (found.id, found.verdict) == (rule, verdict)


def test_every_rule_says_where_it_comes_from() -> None:
    found = rules()
    assert len({rule.id for rule in found}) == len(found)
    for rule in found:
        assert rule.verdict in VERDICTS
        assert 0 < rule.confidence < 1
        assert rule.why
        assert rule.source
        assert isinstance(rule.checked, date)
    assert found[-1].fits(Hit("open", NOW, "TRACE", "\x00"))
