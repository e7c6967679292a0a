"""Which provider group receives mail for a domain; the group is half of a sending lane's name.

Only well-known consumer domains are in the table: they never move, and most mail goes to them. Company domains hosted
by Google or Microsoft look like any other name; what their MX said is learned (`lanes/domains.py`) and held here.
"""

from __future__ import annotations

from typing import Final

OTHER: Final = "other"

# (group, checked, source, domains separated by blanks). One row per source, so that a row can be re-checked alone.
_TABLE: Final[tuple[tuple[str, str, str, str], ...]] = (
    (
        "google",
        "2026-11",
        "Gmail help: personal accounts end in gmail.com or googlemail.com",
        "gmail.com googlemail.com",
    ),
    (
        "microsoft",
        "2026-11",
        "Outlook.com sender requirements: outlook, hotmail, live and msn; their national domains",
        "outlook.com hotmail.com live.com msn.com passport.com windowslive.com "
        "outlook.at outlook.be outlook.cl outlook.co.id outlook.co.il outlook.co.th outlook.com.ar outlook.com.au "
        "outlook.com.br outlook.com.gr outlook.com.tr outlook.com.vn outlook.cz outlook.de outlook.dk outlook.es "
        "outlook.fr outlook.hu outlook.ie outlook.in outlook.it outlook.jp outlook.kr outlook.lv outlook.my "
        "outlook.ph outlook.pt outlook.sa outlook.sg outlook.sk "
        "hotmail.at hotmail.be hotmail.ca hotmail.ch hotmail.cl hotmail.co.il hotmail.co.in hotmail.co.jp "
        "hotmail.co.kr hotmail.co.nz hotmail.co.th hotmail.co.uk hotmail.co.za hotmail.com.ar hotmail.com.au "
        "hotmail.com.br hotmail.com.tr hotmail.cz hotmail.de hotmail.dk hotmail.es hotmail.fi hotmail.fr hotmail.gr "
        "hotmail.hu hotmail.it hotmail.lt hotmail.lv hotmail.my hotmail.nl hotmail.no hotmail.ph hotmail.rs "
        "hotmail.se hotmail.sg hotmail.sk "
        "live.at live.be live.ca live.ch live.cl live.cn live.co.kr live.co.uk live.co.za live.com.ar live.com.au "
        "live.com.mx live.com.my live.com.ph live.com.pt live.com.sg live.de live.dk live.fi live.fr live.hk live.ie "
        "live.in live.it live.jp live.nl live.no live.ru live.se",
    ),
    (
        "yahoo",
        "2026-11",
        "Yahoo Mail: its own domains and national domains",
        "yahoo.com ymail.com rocketmail.com myyahoo.com yahoo.at yahoo.be yahoo.bg yahoo.ca yahoo.ch yahoo.cl "
        "yahoo.co.id yahoo.co.il yahoo.co.in yahoo.co.kr yahoo.co.nz yahoo.co.th yahoo.co.uk yahoo.co.za yahoo.com.ar "
        "yahoo.com.au yahoo.com.br yahoo.com.co yahoo.com.hk yahoo.com.mx yahoo.com.my yahoo.com.pe yahoo.com.ph "
        "yahoo.com.sg yahoo.com.tr yahoo.com.tw yahoo.com.ve yahoo.com.vn yahoo.cz yahoo.de yahoo.dk yahoo.es "
        "yahoo.fi yahoo.fr yahoo.gr yahoo.hu yahoo.ie yahoo.in yahoo.it yahoo.nl yahoo.no yahoo.pl yahoo.pt yahoo.ro "
        "yahoo.se",
    ),
    (
        "yahoo",
        "2026-11",
        "AOL and Verizon mailboxes, run by Yahoo",
        "aol.com aim.com love.com ygm.com games.com wow.com netscape.net verizon.net aol.co.uk aol.de aol.fr aol.it",
    ),
    (
        "yahoo",
        "2026-11",
        "AT&T consumer mailboxes, on Yahoo's platform (their own gateways were retired in 2025)",
        "att.net sbcglobal.net bellsouth.net pacbell.net ameritech.net swbell.net nvbell.net prodigy.net snet.net "
        "flash.net currently.com",
    ),
    # yahoo.co.jp is another company with its own servers and limits.
    ("yahoo_japan", "2026-11", "Yahoo! JAPAN mail (LY Corporation)", "yahoo.co.jp ymail.ne.jp"),
    ("apple", "2026-11", "iCloud Mail: addresses end in icloud.com, me.com or mac.com", "icloud.com me.com mac.com"),
    ("apple", "2026-11", "Hide My Email relay", "privaterelay.appleid.com"),
    ("gmx", "2026-11", "1&1 Mail & Media: GMX and WEB.DE", "gmx.de gmx.net gmx.at gmx.ch gmx.com gmx.fr gmx.eu web.de"),
    ("proton", "2026-11", "Proton Mail: free account domains", "proton.me protonmail.com protonmail.ch pm.me"),
    ("comcast", "2026-11", "Comcast Xfinity", "comcast.net"),
    ("orange", "2026-11", "Orange France", "orange.fr wanadoo.fr"),
    ("mail_ru", "2026-11", "VK: Mail.ru", "mail.ru inbox.ru bk.ru list.ru internet.ru"),
    ("yandex", "2026-11", "Yandex Mail", "yandex.ru yandex.com yandex.by yandex.kz ya.ru"),
    ("netease", "2026-11", "NetEase", "163.com 126.com yeah.net vip.163.com"),
    ("tencent", "2026-11", "Tencent QQ Mail", "qq.com vip.qq.com foxmail.com"),
    ("naver", "2026-11", "Naver Mail", "naver.com"),
)

_GROUP_BY_DOMAIN: Final[dict[str, str]] = {
    domain: group for group, _checked, _source, domains in _TABLE for domain in domains.split()
}


# Of this process; MX records change rarely, and a memory that is behind costs one move from lane to lane.
_LEARNED: Final[dict[str, str]] = {}
_MOST: Final = 200_000


def learn(domain: str, group: str) -> None:
    """What a domain's MX said. `other` is not held: it is what an unknown domain is anyway."""
    if group == OTHER:
        _LEARNED.pop(domain, None)
        return
    while len(_LEARNED) >= _MOST and domain not in _LEARNED:
        del _LEARNED[next(iter(_LEARNED))]  # the one learned first
    _LEARNED[domain] = group


def forget_learned() -> None:
    _LEARNED.clear()


def provider_group(domain: str) -> str:
    """Group of a recipient's domain (lower-case A-labels, as `Mailbox.domain`): "google", "microsoft", "yahoo", "apple"
    and more; "other" for a domain that is neither in the table nor learned. Subdomains are not looked at."""
    return _GROUP_BY_DOMAIN.get(domain) or _LEARNED.get(domain, OTHER)
