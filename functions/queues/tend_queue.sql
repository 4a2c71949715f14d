-- Moves foreign messages of a namespace's queue, which no worker would receive, to its archive and
-- answers how many. And a message that was handed on with the step it stands for gets that step's
-- handler when its lease ran out, because the workers that know the handler before may be gone. A
-- queue that cannot be read or is locked is left for the next time.
--
-- Reads the whole queue: for every half minute.
create or replace function tasker.tend_queue(p_namespace text)
returns int
language plpgsql
set lock_timeout to '10ms'
set enable_hashjoin to off
set enable_mergejoin to off
set jit to off
as $$
declare
  v_queue text := (select queue_name from tasker.namespaces where namespace = p_namespace);
  v_is_strange boolean;
  v_archived int := 0;
begin
  perform set_config('synchronous_commit', 'off', true);
  -- Less than tasker.is_step_message() looks at, at a fifth of the cost.
  execute format(
    'select exists (
      select from pgmq.%I q
      where jsonb_typeof(q.message -> ''handler'') is distinct from ''string''
        or length(q.message ->> ''task_uuid'') is distinct from 36
    )', 'q_' || v_queue
  ) into v_is_strange;
  if v_is_strange then
    v_archived := tasker.archive_strange_messages(v_queue);
  end if;
  -- The case keeps foreign messages, which may be locked, from being read as ours.
  execute format(
    'update pgmq.%1$I q
    set message = tasker.step_message(e.task_uuid, e.step_no, e.handler, e.priority)
    from (
      select e.msg_id, s.task_uuid, s.step_no, ts.handler, t.priority
      from pgmq.%1$I e
      cross join lateral (
        select s.task_uuid, s.step_no, s.template_id from tasker.steps s
        where s.task_uuid = case when tasker.is_step_message(e.message)
            then (e.message ->> ''task_uuid'')::uuid end
          and s.msg_id = e.msg_id and s.step_no::text <> e.message ->> ''step_no''
        offset 0
      ) s
      join tasker.tasks t on t.task_uuid = s.task_uuid
      join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
      where e.vt <= clock_timestamp() and e.read_ct > 0
      limit 1000
      for update of e skip locked
    ) e
    where q.msg_id = e.msg_id', 'q_' || v_queue
  );
  return v_archived;
exception when others then
  return 0;
end
$$;
