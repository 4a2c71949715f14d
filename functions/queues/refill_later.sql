-- Notes that a queue could not be refilled.
create or replace function tasker.refill_later(p_namespace text, p_problem text)
returns void
language plpgsql
as $$
begin
  raise warning 'the queue of namespace % could not be refilled: %', p_namespace, p_problem;
  insert into tasker.queues_to_refill (namespace, retry_at)
  values (p_namespace, tasker.now() + interval '10 s')
  on conflict (namespace) do update set retry_at = excluded.retry_at;
end
$$;
