-- Moves foreign messages, which no worker would receive, to the archives and answers how many. And
-- a message that was handed on with the step it stands for gets that step's handler when its lease
-- ran out, because the workers that know the handler before may be gone. Each queue is tended by
-- itself: one that cannot be read or is locked is left out.
--
-- Reads whole queues: for every half minute.
create function tasker.tend_queues()
returns int
language plpgsql
as $$
declare
  v_queue text;
  v_is_strange boolean;
  v_archived int := 0;
begin
  perform set_config('synchronous_commit', 'off', true);
  for v_queue in select queue_name from tasker.namespaces order by queue_name loop
    begin
      -- Less than tasker.is_step_message() looks at, at a fifth of the cost.
      execute format(
        'select exists (
          select from pgmq.%I q
          where jsonb_typeof(q.message -> ''handler'') is distinct from ''string''
            or length(q.message ->> ''task_uuid'') is distinct from 36
        )', 'q_' || v_queue
      ) into v_is_strange;
      if v_is_strange then
        v_archived := v_archived + tasker.archive_strange_messages(v_queue);
      end if;
      execute format(
        'update pgmq.%1$I q
        set message = tasker.step_message(s.task_uuid, s.step_no, ts.handler, t.priority)
        from (
          select e.msg_id, (e.message ->> ''task_uuid'')::uuid as task_uuid,
            (e.message ->> ''step_no'')::int as step_no
          from pgmq.%1$I e
          where e.vt <= clock_timestamp() and e.read_ct > 0 and tasker.is_step_message(e.message)
          limit 1000
          for update skip locked
        ) e
        join tasker.steps s on s.task_uuid = e.task_uuid and s.msg_id = e.msg_id
        join tasker.tasks t on t.task_uuid = s.task_uuid
        join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
        where q.msg_id = e.msg_id and s.step_no <> e.step_no', 'q_' || v_queue
      );
    exception when others then
      null;
    end;
  end loop;
  return v_archived;
end
$$;
