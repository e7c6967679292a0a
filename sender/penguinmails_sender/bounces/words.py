"""What a server's words mean. Servers say the cause in words even where they give one code for everything.

Written from the texts that mail software is known to print (Postfix, Exim, Sendmail, qmail, Exchange, Courier ...) and
from the code lists that Google, Microsoft, Yahoo and Apple publish. The first pattern that matches decides, so what is
about us (lists, authentication, limits) goes before what is about the recipient: a block must never read as a dead
person.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from penguinmails_sender.bounces.reasons import Reason

_R = Reason

_WORDS: tuple[tuple[Reason, tuple[str, ...]], ...] = (
    (_R.MAILER, (r"^\W*(procmail|maildrop|sieve|dovecot|cyrus)\b\W*:",)),
    (
        _R.AUTHENTICATION_FAILED,
        (
            r"\bdmarc\b",
            r"\bdkim\b",
            r"\bspf\b",
            r"sender policy framework",
            r"sender[ -]?id\b.*(fail|not permitted|reject)",
            r"unauthenticated (e-?)?mail",
            (
                r"(message|mail|sender|domain)\b.{0,40}\b(not|does not|fail\w*)\b.{0,30}\bauthenticat(ed"
                r"|ion) (check|result|level|requirement)"
            ),
            r"required authentication level",
            r"(failed|lacks?|missing|no) (e-?mail )?authentication (check|information)",
            r"domain of sender .* does not (designate|allow)",
        ),
    ),
    (
        _R.REVERSE_DNS_MISSING,
        (
            r"\bptr\b (record|resource)",
            r"\b(no|missing|without|invalid|bad|fix|need|require\w*|valid)\b.{0,20}\b(reverse[ -]?dns|rdns|ptr)\b",
            (
                r"(reverse[ -]?dns|rdns|ptr\b).{0,40}(fail|missing|not found|does not (exist|resolve|match)"
                r"|required|invalid|set up)"
            ),
            (
                r"(cannot|can't|could ?n[o']t|unable to|not) (find|resolve|lookup|look up)\b.{0,20}\b"
                r"(your (hostname|reverse)|reverse hostname|client hostname)"
            ),
            r"client host rejected: cannot find your (reverse )?hostname",
            r"(ip|host|address).{0,40}(does not|doesn't) have (a )?(reverse|ptr)",
            r"unresolvable (relay )?host ?name",
            r"ip (name )?lookup failed",
            r"no dns a(-|\s)?record|must resolve in dns|does ?n[o']t resolve to a(n)? (ip|host)",
        ),
    ),
    (
        _R.GREYLISTED,
        (r"gr[ea]y[ -]?list", r"try again (later|in \d+).{0,20}gr[ea]y", r"temporarily rejected.*first time"),
    ),
    (
        _R.TOO_MANY_CONNECTIONS,
        (
            r"too many (concurrent|simultaneous|parallel|open)?\s*(smtp )?(connections|sessions)",
            r"(connection|session) (rate|count|limit).{0,20}(exceed|reach|limit)",
            r"(max(imum)?|number of) (concurrent |simultaneous )?connections",
            r"concurren\w+ .{0,20}(limit|exceed)",
            r"connection refused - too many",
        ),
    ),
    (
        _R.RATE_LIMITED,
        (
            r"rate[ -]?limit(ed|s)?\b",
            r"(sent|sending|receiving|received|accept\w*) .{0,50}too (quickly|fast|much|many)",
            r"too many (messages|e?-?mails?|mails|requests|recipients (this|per|in) )",
            r"unusual rate of",
            r"throttl",
            r"(daily|hourly|sending|message|mail) (limit|quota) (has been )?(exceed|reach)",
            (
                r"exceeded (the )?(maximum|max|allowed|permitted|hourly|daily|rate).{0,40}(messages|mails|rate"
                r"|per (hour|day|minute)|quota)"
            ),
            r"deferred due to (unexpected volume|user complaints)",
            r"\[ts0[1-4]\]|\[tss0[1-9]\]",
            r"slow(ing)? down",
        ),
    ),
    (
        _R.BLOCKED,
        (
            r"\b(rbl|dnsbl|dnsrbl|uribl|surbl)\b",
            (
                r"\b(spamhaus|spamcop|barracudacentral|cbl\.abuseat|abuseat|sorbs|njabl|dsbl|uceprotect"
                r"|invaluement|senderbase|senderscore|cloudmark|proofpoint|mailspike|spfbl|nixspam|manitu)\b"
            ),
            r"\bblock ?list",
            r"\bblack ?list",
            r"\bdeny ?list",
            (
                r"(blocked|listed|refused|rejected|denied) (by|at|in|using|via|from|on)\b.{0,60}(list|bl\.|\."
                r"org|\.net|https?://)"
            ),
            (
                r"(client|your|this|source|connecting|sending|origin\w*) (host|ip|address|server|mail server"
                r"|network|mta).{0,60}(block|banned|refus|denied|not allowed|not permitted|not accept|reject)"
            ),
            r"banned sending ip|sending ip.{0,20}(banned|blocked)",
            (
                r"\b(ip|host|address|server|connections?|mails?|network)\b.{0,40}\b(has|have|is|are|been"
                r"|was) (been )?(temporarily |permanently )?(blocked|banned|blacklisted|block-?listed)"
            ),
            r"access denied.{0,40}\bip\b|\bip\b.{0,40}access denied",
            r"blocked .{0,30}(ip|host|address|network)\b",
            r"(dynamic|residential|dial-?up|generic).{0,30}(ip|host|address|range|pool)",
            r"use (the|your) (smtp|mail) (server|relay)( of)? your (isp|provider)",
            r"please use your isp",
            r"isp'?s (mail|smtp) server",
            (
                r"(connections?|mail|e-?mail|messages?|traffic) (from|by) (your|this|that|the|\S+) (ip|host"
                r"|server|network|system|mailserver).{0,30}(not (be )?accepted|refused|rejected|blocked"
                r"|denied)"
            ),
            r"service (refused|denied)|connection (refused|rejected|denied) (by|due to) (policy|access|admin)",
            r"\bnot allowed to (send|connect)\b|we do not accept mail from (this|your)",
            r"bad (helo|ehlo)|(helo|ehlo) .{0,30}(reject|invalid|not accept|refused)",
            r"\[(hcm1|bs0\d|cs01|hm08|pbl|bl2\d|tss07)\]",
            r"\bs31(14|40|50)\b|\bs775\b|part of their network is on our block list",
        ),
    ),
    (
        _R.REPUTATION,
        (
            r"(poor|bad|low|negative|no|weak) (ip |domain |sender |email )?reputation",
            r"reputation (of|is|score|too|for|based|filter|data)",
            r"due to (its|the|your|a|their)? ?(very low|low|poor|bad) reputation",
            r"has been identified as (a )?(source|sender) of (spam|unsolicited)",
            r"untrusted (host|sender|ip)",
        ),
    ),
    (
        _R.VIRUS,
        (r"\bvirus(es)?\b", r"\bmalware\b", r"\binfect(ed|ion)\b", r"\bworm\b", r"\btrojan\b", r"phish"),
    ),
    (
        _R.SPAM,
        (
            r"\bspam\b",
            r"\buce\b|\bube\b|\bjunk\b",
            r"unsolicited",
            (
                r"(message|mail|content) (looks|appears|seems|is considered|was considered|is likely"
                r"|detected) .{0,30}(bulk|junk)"
            ),
            r"likely (to be )?suspicious|suspicious (message|content|mail)",
            r"bulk (e?-?mail|message) (is )?(not|reject)",
        ),
    ),
    (
        _R.TOO_BIG,
        (
            (
                r"(message|mail|size|attachment|data)\b.{0,40}\b(too (big|large)|exceed\w*.{0,30}(size|maximum"
                r"|limit|allow)|larger than)"
            ),
            r"(size|length) .{0,30}exceed",
            r"exceed\w* .{0,30}(message|maximum|max|fixed|allowed|permitted)?.{0,20}\bsize",
            r"(max(imum)?|fixed maximum) (message|mail) (size|length)",
            r"message (length|size) (is )?(too|limit)",
            r"too (big|large) (message|mail|for)",
        ),
    ),
    (
        _R.MAILBOX_FULL,
        (
            r"not enough (disk )?space|disk quota|disk full for",
            (
                r"(mail ?box|account|inbox|user|quota|mail ?drop|spool|storage|disk|recipient'?s?|folder)\b"
                r".{0,50}\b(full|over ?quota|exceed\w*|out of (storage|space|quota)|over the (quota|limit"
                r"|maximum|allotted)|too full|overdrawn)\b"
            ),
            r"over ?quota|quota (is )?(exceed|full|reach|violat|limit)|exceed\w* .{0,30}(quota|storage|mailbox|disk)",
            (
                r"(insufficient|not enough|no|out of|lack of).{0,20}(disk|mailbox|storage|user"
                r"|account)? ?(space|storage)( left)?.{0,30}(mailbox|account|user|recipient|quota|for)"
            ),
            (
                r"(mailbox|user|account|recipient).{0,30}(has )?(insufficient|not enough|no more"
                r"|exceeded).{0,30}(space|storage|quota|limit)"
            ),
            r"too (much|many) (mail|messages|e-?mails?) (data )?(in|for) (the |this )?(mailbox|user|recipient)",
            r"mailbox (size )?limit",
            r"is over (the )?(its |his |their )?(disk |mail |storage )?quota",
            r"容量|いっぱい",
        ),
    ),
    (
        _R.MAILBOX_DISABLED,
        (
            (
                r"(mail ?box|account|user|recipient|address|e-?mail|inbox|domain|he|she)\b.{0,60}\b(disabled"
                r"|suspended|deactivated|inactive|not active|locked|blocked|closed|discontinued|frozen|expired"
                r"|terminated|cancell?ed|restricted|retired|on hold|unavailable due)\b"
            ),
            (
                r"(disabled|suspended|deactivated|inactive|locked|closed|discontinued|expired|frozen"
                r"|restricted|abandoned) (mail ?box|account|user|recipient|address|e-?mail)"
            ),
            r"(no longer|not) (active|in use|being used)\b",
            r"not (been )?(accepting|accept) (any )?(messages|mail|e-?mails?)( (at|for|until|any) |\.|$)",
        ),
    ),
    (
        _R.MAILBOX_MOVED,
        (
            r"(has|have) (moved|changed|left)\b",
            r"(moved|changed) to (another|a new|the following)|new (e-?mail )?address( is|:)|please (use|try) <?\S+@",
            r"user not local; please try",
            r"no longer (with|at|works|employed|on this)",
        ),
    ),
    (
        _R.SENDER_REFUSED,
        (
            r"\bfrom\b\W{0,3}(domain|address) (is )?(invalid|not valid|unknown)|provide a valid from",
            r"sender (was |is |address )?rejected|(sender|recipient) preferences",
        ),
    ),
    (
        _R.DOMAIN_ACCEPTS_NO_MAIL,
        (
            r"not accepting network messages",
            r"\bno mx (record )?found\b",
            r"null mx|nullmx|mx record.{0,20}(is|points to) ?['\"]?\.(?!\w)",
            r"does ?n[o']t (accept|receive) (any )?(e-?)?mail(?! from)|no mail (is )?accepted (here|for|by)",
            (
                r"(host|domain|server|it) (is )?(not|n't|never) (accept\w*|receiv\w*|a) (any )?(smtp"
                r"|mail (host|server|exchanger|domain))"
            ),
            r"host/domain does not accept mail",
        ),
    ),
    (
        _R.DOMAIN_NOT_FOUND,
        (
            (
                r"(host|domain|hostname|name|dns|mx|server)\b.{0,50}\b(not found|unknown|does ?n[o']t exist"
                r"|no such|nxdomain|non-?existent|not exist|invalid|unresolvable|unrouteable|unrouta?ble"
                r"|could ?n[o']t be (found|resolved))\b(?!.{0,20}(user|mailbox|recipient))"
            ),
            (
                r"(unknown|no such|invalid|illegal|bad|non-?existent|unrouteable|unroutable"
                r"|unresolvable) (host|domain|hostname|mail domain|destination|e?-?mail domain|system)"
            ),
            (
                r"(could ?n[o']t|cannot|can't|unable to|failed to) (find|resolve|look ?up|locate)\b.{0,30}\b"
                r"(host|domain|mx|mail (server|exchanger)|any|dns)"
            ),
            r"(all relevant )?mx records? point to (non-?existent|no)",
            r"unrouteable address|unroutable address|unrouteable mail domain",
            r"(nxdomain|name or service not known|nodename nor servname|type=(a|mx|aaaa).{0,30}not found)",
            r"mail (server|host) .{0,20}not (be )?found",
            r"domain name not found|domain not found|no mail hosts for domain",
            r"an mx or srv record indicated no smtp service|although i'm listed as a best-preference mx",
        ),
    ),
    (
        _R.MAILBOX_NOT_FOUND,
        (
            (
                r"(user|mail ?box|recipient|account|address|e-?mail( address)?|local ?part|alias|name|person"
                r"|addressee|customer|list|destination|rcpt)s?\b.{0,80}\b(unknown|not? (been )?found|does ?n"
                r"[o']t exist|do not exist|no such|not exist\w*|non-?existent|not? (a )?valid|is ?n[o']t valid"
                r"|invalid|unrecogni[sz]ed|not recogni[sz]ed|not (be )?(known|listed|registered|here|defined)"
                r"|could ?n[o']t be found|undeliverable|not (a )?(local|known)|has been deleted|not available"
                r"|ambiguous|unresolvable|not have an? \S* ?account|not our customer|not in (our|my|the))\b"
            ),
            (
                r"(unknown|no such|invalid|bad|incorrect|non-?existent|not a valid|unrecogni[sz]ed|wrong"
                r"|illegal|no matches to|nonexist\w*|no) (local )?(user|mail ?box|recipient|account"
                r"|address(ee)?|e-?mail|local ?part|alias|rcpt|mail ?drop|person|destination (mail )?(box"
                r"|address))\b"
            ),
            r"(sorry, )?no (mail ?box|such|user) (here|by that|with that|of that|person|name|one)",
            (
                r"(does ?n[o']t|do(es)? not) (have|match|handle|like) (an? |any |the |this "
                r"|our )?.{0,20}(account|user|mailbox|recipient)"
            ),
            (
                r"(is|are) not (a )?(known|valid|local|registered|existing) (user|recipient|account|mailbox"
                r"|address|e-?mail)"
            ),
            r"not (a )?(known|valid|existing|registered|local) (user|recipient|mailbox|address|account|member)",
            r"resolver\.adr\.(\w*notfound|\w*notfound|invalid\w*|exrecipnotfound)|recipnotfound|recipientnotfound",
            r"unknown or illegal alias|illegal alias|unknown alias",
            r"(user|recipient|account|mailbox|address) (has been |was )?(deleted|removed)",
            r"deleted (account|user|mailbox)",
            r"nosuchuser|no ?such ?(e-?mail )?(user|recipient|address|mailbox|person|id)",
            r"requested action not taken: mailbox unavailable",
            r"address rejected\W*$",
            r"recipient (address )?(rejected|refused): (user|unknown|undeliverable|access denied|invalid|no)",
            r"requested user mailbox not found|recipient name is not recogni[sz]ed",
            r"can(no|')t find (the )?(user|recipient|mailbox|account)|couldn't find (the )?(user|recipient|mailbox)",
            r"not (delivering|deliver) .{0,30}no (such )?user|user \S+ is unknown|not listed in|this user doesn",
            r"宛先不明|存在しません|見つかりません",
        ),
    ),
    (
        _R.SENDER_REFUSED,
        (
            (
                r"(sender|from|envelope|return[ -]?path|mail from|originator|reverse[ -]?path)\b.{0,60}\b"
                r"(rejected|refused|denied|invalid|not (be )?(verif\w+|accepted|allowed|exist|found|valid"
                r"|resolv\w+|authori[sz]ed)|unknown|does ?n[o']t (exist|resolve)|block(ed)?|not match"
                r"|restricted|verification failed|unverified|prohibited|malformed|mismatch|illegal)\b"
            ),
            (
                r"(invalid|unverified|unknown|illegal|rejected|bad|refused|restricted|no) (sender|from"
                r"|envelope|mail from|return[ -]?path|originator)\b"
            ),
            r"not (allowed|authori[sz]ed|permitted) (to send|sender)",
            r"domain of sender address|sender'?s? (domain|address|verify|callout)",
            r"only (accepts?|receives?) (messages|mail) from",
            r"(you|sender) (are|is) not (on|allowed|permitted|authori[sz]ed)",
            r"does not have permission to (send|submit|post)|permission to (post|send)",
        ),
    ),
    (
        _R.RELAYING_DENIED,
        (
            r"relay(ing)? (access )?(not )?(denied|permitted|allowed|prohibited|forbidden)",
            r"(unable|not (permitted|allowed|able|authori[sz]ed)|refus\w+|cannot|can't|won't) (to )?relay",
            r"relaying (mail )?(to|for) .{0,50}(not|den)",
            r"not (a )?(gateway|open relay)|no relay|insecure mail relay|relay ?fail",
            r"isn't in my list of allowed rcpthosts|not in .{0,20}rcpthosts",
        ),
    ),
    (
        _R.SECURITY,
        (
            r"authenticat\w+ (required|failed|failure|turned on|credentials invalid|needed)",
            r"(requires?|must|needs?) (use |issue )?(a )?(starttls|tls|encryption|authenticat\w+)",
            (
                r"(tls|ssl|certificate|encrypt\w*).{0,40}(required|failed|not (available|supported|trusted)"
                r"|error|expired|must)"
            ),
            r"authorization failed|not authori[sz]ed to|insufficient (permission|privilege|rights)",
            r"(verification|security) (failure|error|fail)",
        ),
    ),
    (
        _R.NOT_COMPLIANT,
        (
            r"rfc ?-?(2822|5322|822|2821|5321|1123|2045|2047|6531)",
            (
                r"(multiple|duplicate|missing|invalid|no|malformed|bad|illegal|more than one) (from|to|date"
                r"|subject|message-?id|mime|header|headers)\b"
            ),
            (
                r"(header|headers|message-?id|line|lines)\b.{0,40}\b(missing|invalid|malformed|too long"
                r"|not (valid|compliant)|non-?compliant|duplicat\w+|illegal)"
            ),
            r"smtputf8|bare (lf|cr|newline)",
        ),
    ),
    (
        _R.CONTENT,
        (
            r"content (is |was )?(reject|not allowed|filter|block|denied|not accept|restrict|forbid|policy)",
            (
                r"(attachment|file type|extension|executable|macro|zip|url|link)s?\b.{0,40}\b(not (allowed"
                r"|permitted|accepted)|forbidden|prohibited|block|reject|disallow|restrict|banned)"
            ),
            r"(banned|forbidden|prohibited|disallowed|blocked) (attachment|file|content|word|phrase|extension|url)",
            r"message (content|contains|body) .{0,40}(reject|not|forbid|prohibit|inappropriate|unacceptable)",
            r"mime (type|part|format).{0,40}(not|reject|invalid)",
            r"message filtered",
            r"(rejected|denied|blocked) (by|due to|for) .{0,20}(content|filter)",
        ),
    ),
    (
        _R.EXPIRED,
        (
            (
                r"(delivery|message|retry|queue|mail)\b.{0,40}\b(time ?(out|d out)|expired|too (long|old)"
                r"|lifetime|exceeded)\b"
            ),
            r"(retry|queue) time(out)? (not reached|exceeded|expired|limit)",
            r"been (in the queue|retrying|queued) (too|for) ",
            (
                r"(cannot|can't|could ?n[o']t|unable to|not been able to) (send|deliver)\b.{0,40}\b(for|within"
                r"|after|in) \d+"
            ),
            r"delivery (attempts )?(failed|was delayed|delayed|has been delayed|attempts) (after|for|within) \d+",
            r"gave up",
            r"giving up after",
            r"timeout - message",
            r"too long in (the )?queue",
            r"message expired",
            r"reached the maximum number of (delivery )?attempts",
            r"(operation|connection) timed out",
            r"connect(ion)? (to \S+ )?tim(ed ?|e )out",
            r"conversation .{0,40}timed? ?out",
            r"timed out (during|while|waiting)",
            r"timeout (during|while|waiting)",
        ),
    ),
    (
        _R.NETWORK,
        (
            r"connection (was )?(refused|reset|lost|dropped|closed|broken|failed|died|interrupted|aborted)",
            r"(network|host|route|destination) (is )?(unreachable|down)",
            r"no route to host",
            r"couldn't (make|establish|connect)",
            r"(unable|not able|could ?n[o']t|cannot|can't|failed) (to )?(connect|establish|open|reach|contact)",
            r"lost connection",
            r"remote host closed",
            r"broken pipe",
            r"socket (error|closed)",
            r"read error",
            r"write error",
            r"i/o error",
            r"bad connection",
            r"no response",
            (
                r"(name ?server|dns|host) .{0,30}(temporar\w+|timeout|timed out|try again|fail\w*|error"
                r"|servfail|not respond)"
            ),
            r"servfail",
            r"domain .{0,30}try again",
            r"temporary (lookup|dns) (failure|error)",
            r"lookup failure",
            r"mail (for \S+ )?loops? back|loop detected|too many hops|routing loop|hop count|forwarding loop|mail loop",
        ),
    ),
    (
        _R.SYSTEM,
        (
            (
                r"(local|internal|system|server|configuration|database|ldap|temporary|disk|file ?system"
                r"|input/output|software|unexpected)\b.{0,30}\b(error|failure|problem|failed|busy|full|fault"
                r"|exception)"
            ),
            (
                r"(temporar\w+|currently|service|system|server|resources?|host)\b.{0,30}\b(unavailable"
                r"|not available|overload\w*|busy|down|insufficient|low|shut\w*)"
            ),
            r"(insufficient|out of|low) (system )?(resources?|memory|disk|storage)",
            r"no space left on device",
            r"cannot (open|create|write|append|lock|update)",
            r"can't (open|create|write|append|lock)",
            r"try again later|please try later|requested action (aborted|not taken): (local|error)",
        ),
    ),
    (
        _R.MAILER,
        (
            (
                r"(command|mailer|program|script|pipe|procmail|maildrop|filter|delivery agent|process)\b"
                r".{0,60}\b(fail\w*|died|died with|exit(ed)?|returned|error|output|crash\w*|killed|status"
                r"|non-?zero)"
            ),
            r"x-unix;|exit (status|code|value) \d+|data format error|command output",
        ),
    ),
    (
        _R.POLICY,
        (
            r"polic(y|ies)",
            r"(not|n't) (accept\w*|allow\w*|permit\w*|wanted|welcome) ",
            (
                r"(access|permission|delivery|transaction|message|mail|request) (is |was |has been )?(denied"
                r"|refused|rejected|blocked|restricted|prohibited|failed)"
            ),
            r"administrative(ly)? (prohibit|reject|den)|rejected for|is restricted|local policy",
        ),
    ),
)


def _compile(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE | re.DOTALL)


_RULES = tuple((reason, _compile(patterns)) for reason, patterns in _WORDS)
_WEAK = frozenset({_R.POLICY, _R.SYSTEM, _R.NETWORK, _R.EXPIRED, _R.SECURITY})
_LISTS = re.compile(
    r"spamhaus|spamcop|barracudacentral|abuseat|sorbs|uceprotect|senderscore|block|rbl|bl\.", re.IGNORECASE
)
_URL = re.compile(r"https?://\S+", re.IGNORECASE)
_ADDRESS = re.compile(r"<?[^\s<>@]{1,64}@[^\s<>,;)\]]{1,255}>?")
MOST = 2000  # characters looked at: patterns with gaps must not run over a novel


def by_words(text: str) -> Reason | None:
    """The first rule that matches; None when none does."""
    text = _URL.sub(_kept, " ".join(text[:MOST].split()))
    text = _ADDRESS.sub("<it>", text)
    return next((reason for reason, pattern in _RULES if pattern.search(text)), None)


def _kept(match: re.Match[str]) -> str:
    """Links explain what was said before; only the name of a list in one says something of its own."""
    found = _LISTS.search(match[0])
    return found[0] if found else ""


def is_weak(reason: Reason) -> bool:
    """Words that are printed beside many causes: a code that says more goes before them."""
    return reason in _WEAK
