-- Deletes up to p_most idempotency keys that were kept longer than their tasks and whose time is over;
-- answers how many.
create or replace function tasker.forget_keys(p_most int)
returns int
language plpgsql
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set jit to off
as $$
declare
  v_now timestamptz := tasker.now();
  v_forgotten int;
begin
  perform set_config('synchronous_commit', 'off', true);
  with due as (
    select k.ctid from tasker.kept_keys k
    where k.forget_at <= v_now
    order by k.forget_at
    limit p_most
    for update skip locked
  ), forgotten as (
    delete from tasker.kept_keys k where k.ctid = any(array(select ctid from due))
    returning k.*
  ), deleted as (
    delete from tasker.idempotency_keys k using forgotten f
    where k.namespace = f.namespace and k.name = f.name
      and k.idempotency_key = f.idempotency_key and k.task_uuid = f.task_uuid
  )
  select count(*) into v_forgotten from forgotten;
  return v_forgotten;
end
$$;
