-- The steps that are enqueued and that no live worker can run, by namespace and handler, in the given
-- namespaces or in all; see tasker.missing_handlers for what is counted. A queue that is missing,
-- damaged or locked is left out.
create or replace function tasker.steps_without_worker(p_namespaces text[] default null)
returns table (namespace text, handler text, steps int)
language plpgsql
set lock_timeout to '100ms'
as $$
#variable_conflict use_column
declare
  v_queue text;
begin
  for namespace, v_queue in
    select n.namespace, n.queue_name from tasker.namespaces n
    where p_namespaces is null or n.namespace = any(p_namespaces)
    order by n.namespace
  loop
    begin
      return query
      select namespace, m.handler, m.steps
      from tasker.missing_handlers(v_queue, tasker.known_handlers(namespace), 100) m;
    exception
      when lock_not_available then
        -- However many are locked, the call waits for one.
        perform set_config('lock_timeout', '1ms', true);
      when others then
        null;
    end;
  end loop;
end
$$;
