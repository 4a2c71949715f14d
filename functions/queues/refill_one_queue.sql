-- Refills one of the queues whose time has come to try it again; others have their turn later, because
-- the tasks of several are locked in one order.
create or replace function tasker.refill_one_queue(p_lease_ms int default 30000)
returns void
language plpgsql
as $$
declare
  v_namespace text;
begin
  select namespace into v_namespace
  from tasker.queues_to_refill
  where retry_at <= tasker.now()
  order by retry_at
  limit 1
  for update skip locked;
  if not found then
    return;
  end if;
  begin
    perform tasker.pass_used_numbers(v_namespace);
    perform tasker.refill_queue(v_namespace, p_lease_ms);
  exception when others then
    perform tasker.refill_later(v_namespace, sqlerrm);
  end;
end
$$;
