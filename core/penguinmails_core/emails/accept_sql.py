"""The statement that accepts mail: one round trip and one commit for up to 64 requests.

Hot: each accepted message runs through here, and a commit costs more than the rows. Parameters are seven row
sets; `ord` ties the rows to their request. Idempotency verdicts come from the same statement: `DO UPDATE ...
RETURNING` answers a replay even when it raced with the first request, which `DO NOTHING` cannot. `ORDER BY` on keys and
blobs keeps concurrent batches from deadlocking.
"""

from __future__ import annotations

from collections.abc import Sequence

RowSet = Sequence[tuple[str, str]]

REQUESTS: RowSet = (
    ("ord", "int"),
    ("organization_id", "uuid"),
    ("principal_id", "uuid"),
    ("key", "text"),
    ("fingerprint", "bytea"),
    ("token", "uuid"),
    ("status", "smallint"),
    ("response", "bytea"),
)
MESSAGES: RowSet = (
    ("organization_id", "uuid"),
    ("id", "uuid"),
    ("workspace_id", "uuid"),
    ("api_key_id", "uuid"),
    ("mode", "text"),
    ("message_class", "text"),
    ("from_address", "text"),
    ("from_name", "text"),
    ("from_domain", "text"),
    ("reply_to", "text"),
    ("subject", "text"),
    ("tags", "text"),
    ("metadata", "text"),
    ("size_bytes", "int"),
    ("scheduled_at", "timestamptz"),
    ("expires_at", "timestamptz"),
    ("created_at", "timestamptz"),
    ("options", "text"),
)
RECIPIENTS: RowSet = (
    ("organization_id", "uuid"),
    ("id", "uuid"),
    ("message_id", "uuid"),
    ("kind", "text"),
    ("position", "smallint"),
    ("address", "text"),
    ("name", "text"),
    ("lane", "text"),
    ("due_at", "timestamptz"),
)
EVENTS: RowSet = (
    ("organization_id", "uuid"),
    ("workspace_id", "uuid"),
    ("id", "uuid"),
    ("mode", "text"),
    ("type", "text"),
    ("resource_id", "uuid"),
    ("payload", "text"),
)
CONTENT: RowSet = (
    ("organization_id", "uuid"),
    ("message_id", "uuid"),
    ("text_sha256", "bytea"),
    ("html_sha256", "bytea"),
    ("headers", "text"),
    ("retain_until", "timestamptz"),
)
BLOBS: RowSet = (
    ("organization_id", "uuid"),
    ("sha256", "bytea"),
    ("storage_key", "uuid"),
    ("store", "text"),
    ("encoding", "text"),
    ("size", "int"),
    ("stored_size", "int"),
    ("data", "bytea"),
)
ATTACHMENTS: RowSet = (
    ("organization_id", "uuid"),
    ("id", "uuid"),
    ("message_id", "uuid"),
    ("position", "smallint"),
    ("filename", "text"),
    ("content_type", "text"),
    ("disposition", "text"),
    ("content_id", "text"),
    ("sha256", "bytea"),
    ("size", "int"),
)
_CASTS = {"reply_to": "::text[]", "tags": "::text[]"} | dict.fromkeys(
    ("metadata", "options", "payload", "headers"), "::jsonb"
)


def _names(rows: RowSet) -> str:
    return ", ".join(name for name, _ in rows)


def _values(rows: RowSet, alias: str) -> str:
    return ", ".join(f"{alias}.{name}{_CASTS.get(name, '')}" for name, _ in rows)


ORD: RowSet = (("ord", "int"),)

# The row sets travel as arrays of composite types (created by the migrations): the driver then looks at each row once
# instead of at each value, which halves what sending them costs.
TYPES: dict[str, RowSet] = {
    "accept_request": REQUESTS,
    "accept_message": (*ORD, *MESSAGES),
    "accept_recipient": (*ORD, *RECIPIENTS),
    "accept_event": (*ORD, *EVENTS),
    "content.accept_content": (*ORD, *CONTENT),
    "content.accept_blob": (*ORD, *BLOBS),
    "content.accept_attachment": (*ORD, *ATTACHMENTS),
}


class _Parameters:
    """Numbers the parameters in the order in which the row sets appear."""

    def __init__(self) -> None:
        self._next = 0

    def unnest(self, kind: str, alias: str) -> str:
        self._next += 1
        return f"unnest(${self._next}::{kind}[]) as {alias}"


def content_ctes(parameters: _Parameters, fresh: str) -> str:
    """Inserts into the content tier. `fresh` is the join that keeps only rows of fresh requests."""
    content = parameters.unnest("content.accept_content", "c")
    blobs = parameters.unnest("content.accept_blob", "b")
    attachments = parameters.unnest("content.accept_attachment", "a")
    return f"""
new_content as (
  insert into content.email_content ({_names(CONTENT)})
  select {_values(CONTENT, "c")} from {content} {fresh.format("c")}
),
wanted as materialized (
  select distinct on (b.organization_id, b.sha256) {_values(BLOBS, "b")} from {blobs} {fresh.format("b")}
  order by b.organization_id, b.sha256
),
new_blobs as (
  insert into content.blobs ({_names(BLOBS)})
  select {_values(BLOBS, "wanted")} from wanted order by organization_id, sha256
  on conflict (organization_id, sha256) do nothing
),
touched as (
  update content.blobs o set touched_at = now() from wanted w
  where o.organization_id = w.organization_id and o.sha256 = w.sha256 and o.touched_at < now() - interval '1 hour'
),
new_attachments as (
  insert into content.attachments ({_names(ATTACHMENTS)})
  select {_values(ATTACHMENTS, "a")} from {attachments} {fresh.format("a")}
)"""


def accept_statement(*, with_content: bool) -> str:
    """The whole accept. Returns one row a request: ord, fresh, same, status, response (the last three for replays)."""
    parameters = _Parameters()
    fresh = "join verdict v on v.ord = {0}.ord and v.fresh"
    requests = parameters.unnest("accept_request", "t")
    messages = parameters.unnest("accept_message", "m")
    recipients = parameters.unnest("accept_recipient", "r")
    events = parameters.unnest("accept_event", "e")
    content = "," + content_ctes(parameters, fresh) if with_content else ""
    return f"""
with request as materialized (select * from {requests}),
known as (
  insert into idempotency_keys as i
    (organization_id, principal_id, key, fingerprint, token, status, response)
  select organization_id, principal_id, key, fingerprint, token, status, response
  from request where key is not null order by organization_id, principal_id, key
  on conflict (organization_id, principal_id, key) do update set hits = i.hits + 1
  returning i.organization_id, i.principal_id, i.key, i.token, i.fingerprint, i.status, i.response
),
verdict as materialized (
  select q.ord, q.key is null or k.token = q.token as fresh, k.fingerprint = q.fingerprint as same,
    k.status, case when k.token <> q.token then k.response end as response
  from request q left join known k
    on k.organization_id = q.organization_id and k.principal_id = q.principal_id and k.key = q.key
),
new_messages as (
  insert into email_messages ({_names(MESSAGES)}, updated_at)
  select {_values(MESSAGES, "m")}, m.created_at from {messages} {fresh.format("m")}
),
new_recipients as (
  insert into email_recipients ({_names(RECIPIENTS)}, event_sequence)
  select {_values(RECIPIENTS[:-1], "r")}, coalesce(r.due_at, now()), 1 from {recipients} {fresh.format("r")}
),
new_events as (
  insert into events ({_names(EVENTS)}, sequence)
  select {_values(EVENTS, "e")}, 1 from {events} {fresh.format("e")}
){content}
select ord, fresh, same, status, response from verdict order by ord"""


def content_statement() -> str:
    """The content rows alone, for a content tier on its own server: written, and committed, before the accept."""
    ctes = content_ctes(_Parameters(), "")
    return f"with {ctes.strip()} select count(*) from wanted"
