-- One accept as a single statement: the same rows as ours, one commit each, no application in between.
\set n random(1, 2000000000)
\set k random(1, 2000000000)
with m as (insert into email_messages (organization_id, id, workspace_id, api_key_id, mode, message_class, from_address,
    from_domain, reply_to, subject, tags, metadata, size_bytes, expires_at)
  values ('@ORGANIZATION@', gen_random_uuid(), '@ORGANIZATION@', '@ORGANIZATION@', 'live', 'transactional', 'hello@acme.test',
    'acme.test', '{}', 'Invoice ' || :n, '{invoice}', '{"invoice":"1"}', 440, now()) returning organization_id, id),
r as (insert into email_recipients (organization_id, id, message_id, kind, position, address, lane, due_at, event_sequence)
  select organization_id, gen_random_uuid(), id, 'to', 0, 'ada-' || :n || '@example.com', 'bench', now(), 1 from m),
e as (insert into events (organization_id, id, mode, type, resource_id, sequence, payload)
  select organization_id, gen_random_uuid(), 'live', 'email.queued', id, 1,
    '{"email_id":"msg_01h455vb4pex5vsknk084sn02q","recipient":{"address":"ada@example.com"}}' from m),
i as (insert into idempotency_keys (organization_id, principal_id, key, fingerprint, token, status, response)
  select organization_id, id, :n || '-' || :k, '\x00', id, 202, '\x7b7d' from m),
b as (insert into content.blobs (organization_id, sha256, storage_key, encoding, size, stored_size, data)
  select organization_id, sha256((id::text || part)::bytea), gen_random_uuid(), 'zstd', length(part), length(part), part::bytea
  from m, (values ('@TEXT@'), ('@HTML@')) as parts (part))
insert into content.email_content (organization_id, message_id, text_sha256, html_sha256, headers, retain_until)
select organization_id, id, '\x00', '\x00', '{}', now() from m;
