"""Sign-ins and changes of credentials are in the audit log of the person's organizations, with place and request."""

from __future__ import annotations

from penguinmails_api.services import Services
from penguinmails_core.identity import totp
from tests.fixtures.factories import Tenant
from tests.identity.people import HERE, Person, Surfer


async def _actions(services: Services, tenant: Tenant) -> list[str]:
    rows = await services.database.worker.fetch(
        "select action from audit_logs where organization_id = $1 and resource_type in ('user', 'passkey') "
        "order by sequence",
        tenant.id,
    )
    return [row["action"] for row in rows]


async def test_a_sign_in_is_told_with_its_request(
    surfer: Surfer, ada: Person, services: Services, tenant: Tenant
) -> None:
    await surfer.sign_in(ada)
    assert (await _actions(services, tenant))[-1] == "user.signed_in"
    row = await services.database.worker.fetchrow(
        "select * from audit_logs where organization_id = $1 order by sequence desc limit 1", tenant.id
    )
    assert row["actor_id"] == ada.id
    assert row["request_id"] is not None
    assert row["after"] == {"methods": ["pwd"]}


async def test_changes_of_credentials_are_told_and_hold_no_secret(
    ada: Person, services: Services, tenant: Tenant
) -> None:
    factors = services.identity.factors
    enrolment = await factors.enrol(ada.id, ada.email)
    codes = await factors.confirm(ada.id, ada.email, totp.code_at(enrolment.secret))
    signed = await services.identity.sign_in(ada.email, ada.password, HERE)
    assert "user.signed_in" not in await _actions(services, tenant)  # the second factor is to come
    session = await services.identity.sessions.find(signed.token)
    assert session is not None
    await services.identity.answer_code(signed.token, session, codes[0], HERE)
    await factors.disable(ada.id, ada.email)
    assert await _actions(services, tenant) == [
        "user.password_reset",  # the fixture's first password
        "user.codes_enabled",
        "user.recovery_codes_renewed",
        "user.recovery_code_used",
        "user.signed_in",
        "user.codes_disabled",
    ]
    rows = await services.database.worker.fetch("select a::text as line from audit_logs a")
    text = "".join(row["line"] for row in rows)
    assert enrolment.secret not in text
    assert codes[0] not in text
