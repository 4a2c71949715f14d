-- An act as a document; null where there is none.
create or replace function tasker.bulk_act(p_bulk_uuid uuid)
returns jsonb
language sql
stable
as $$
  select jsonb_build_object(
    'bulk_uuid', b.bulk_uuid, 'action', b.action, 'filter', b.filter, 'actor', b.actor,
    'reason', b.reason, 'created_at', b.created_at, 'ended_at', b.ended_at,
    'state', case when b.stopped then 'stopped' when b.ended_at is null then 'running'
      else 'finished' end,
    'done', b.done, 'refused', b.refused, 'held', b.held, 'problem', b.problem
  )
  from tasker.bulk_acts b
  where b.bulk_uuid = p_bulk_uuid
$$;
