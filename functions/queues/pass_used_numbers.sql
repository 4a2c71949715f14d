-- Has the messages that a queue gets from now on numbered above those of all steps in flight: a new
-- sequence, as one has that was unlogged, begins at 1. Stays done where the transaction is undone.
create or replace function tasker.pass_used_numbers(p_namespace text)
returns void
language plpgsql
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set enable_sort to on
set jit to off
as $$
declare
  v_sequence regclass;
  v_highest bigint;
begin
  select pg_get_serial_sequence(format('pgmq.%I', 'q_' || queue_name), 'msg_id') into v_sequence
  from tasker.namespaces where namespace = p_namespace;
  select max(s.msg_id) into v_highest
  from tasker.tasks t
  cross join lateral (
    select s.msg_id from tasker.steps s
    where s.task_uuid = t.task_uuid and s.msg_id is not null
    offset 0
  ) s
  where t.listed_as in ('in_progress', 'cancelled') and t.active_steps > 0
    and t.template_id = any(array(
      select template_id from tasker.templates where namespace = p_namespace
    ));
  if v_highest > nextval(v_sequence) then
    perform setval(v_sequence, v_highest);
  end if;
end
$$;
