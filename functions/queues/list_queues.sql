-- The queue of every namespace: what lies in it, which live workers take steps from it, with how many
-- places and how many of them taken, and the steps in it that none of them can run, by handler (see
-- tasker.missing_handlers). A worker of several namespaces counts in each.
--
-- A queue that is damaged or locked has a problem in place of what could not be read. Volatile, so
-- that each queue is read with a snapshot of its own, taken when it is locked: one that was rewritten
-- in the meantime is empty for older ones.
create or replace function tasker.list_queues()
returns table (
  namespace text, queue_name text, length bigint, visible bigint,
  oldest_message_age_seconds double precision, workers int, places int, taken int,
  without_worker jsonb, problem text
)
language plpgsql
set lock_timeout to '100ms'
as $$
#variable_conflict use_column
begin
  for namespace, queue_name in
    select n.namespace, n.queue_name from tasker.namespaces n order by n.namespace
  loop
    select count(*), coalesce(sum(p.places), 0), coalesce(sum(p.taken), 0)
    into workers, places, taken
    from tasker.processes p
    where p.role = 'worker' and tasker.is_live(p.last_seen_at)
      and (p.namespaces = '{}' or namespace = any(p.namespaces));
    length := null;
    visible := null;
    oldest_message_age_seconds := null;
    without_worker := '[]';
    problem := null;
    begin
      execute format(
        'select count(*), count(*) filter (where q.vt <= $1),
          extract(epoch from $1 - min(q.enqueued_at))::double precision
        from pgmq.%I q', 'q_' || queue_name
      ) into length, visible, oldest_message_age_seconds using clock_timestamp();
      if visible > 0 then
        select coalesce(
          jsonb_agg(jsonb_build_object('handler', m.handler, 'steps', m.steps)), '[]'
        ) into without_worker
        from tasker.missing_handlers(queue_name, tasker.known_handlers(namespace), 100) m;
      end if;
    exception
      when lock_not_available then
        problem := sqlerrm;
        -- However many are locked, the call waits for one.
        perform set_config('lock_timeout', '1ms', true);
      when others then
        problem := sqlerrm;
    end;
    return next;
  end loop;
end
$$;
