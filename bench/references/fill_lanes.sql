-- $1 organization, $2 how many messages, all of them due, $3 over how many lanes. Lanes of live mail, messages of test
-- mode: no MIME and no SMTP, so that what is measured is the claim, the lane's limits and the result.
with m as (
  insert into email_messages (organization_id, id, workspace_id, api_key_id, mode, message_class, from_address,
    from_domain, reply_to, subject, tags, metadata, size_bytes, expires_at)
  select $1::uuid, gen_random_uuid(), $1, $1, 'test', 'campaign', 'hello@acme.test', 'acme.test', '{}', 'Invoice',
    '{}', '{}', 1, now() + interval '1 day' from generate_series(1, $2::int)
  returning organization_id, id
)
insert into email_recipients (organization_id, id, message_id, kind, position, address, lane, due_at)
select organization_id, gen_random_uuid(), id, 'to', 0, 'ada@gmail.com',
  'live/campaign/pool-' || row_number() over () % $3::int || '/google', now() - random() * interval '1 hour' from m
