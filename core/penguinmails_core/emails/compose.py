"""Whether a caller may send a message, and the message laid out as rows. REST and GraphQL share it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from penguinmails_core.domains.service import VerifiedDomains
from penguinmails_core.emails.draft import Draft, DraftLimits, draft_email, sender_of
from penguinmails_core.emails.draft_input import EmailInput
from penguinmails_core.errors import DomainNotVerified, FieldError
from penguinmails_core.mailboxes.pace import check_recipients, find_sender
from penguinmails_core.principal import Principal


async def compose(
    caller: Principal,
    email: EmailInput,
    domains: VerifiedDomains,
    limits: DraftLimits,
    *,
    now: datetime,
    base: str = "",
    mailbox_id: str | None = None,
) -> Draft:
    """Check one message and lay out its rows; the sender's domain must be verified (test keys may use any).

    With `mailbox_id`, the mailbox sends it, and its provider signs: From must be an address of the mailbox.

    Hot: every accepted message passes here. Raises what `draft_email` raises, `ConstraintViolated` and
    `DomainNotVerified`.
    """
    sender = sender_of(email, base)
    if caller.constraints is not None:
        caller.constraints.check_sender(sender, f"{base}/from")
    if mailbox_id is not None:
        found = await find_sender(domains.pool, caller, mailbox_id, sender, base)
        place = found.workspace_id
        draft = draft_email(
            caller, email, sender=sender, workspace_id=place, limits=limits, now=now, base=base, source=found.source
        )
        check_recipients(found, len(draft.rows.recipients), base)
        return draft
    workspace_id: UUID = caller.target_workspace_id
    if caller.mode == "live":
        domain = await domains.find(caller.organization_id, sender.domain)
        if domain is None or (caller.workspace_id is not None and domain.workspace_id != caller.workspace_id):
            detail = f"{sender.domain} is not a verified domain of this organization. Add and verify it first."
            raise DomainNotVerified(detail, errors=[FieldError(f"{base}/from", "domain_not_verified", detail)])
        workspace_id = domain.workspace_id
    return draft_email(caller, email, sender=sender, workspace_id=workspace_id, limits=limits, now=now, base=base)
