-- Messages are deleted and delayed as pgmq.delete() and pgmq.set_vt() do it, at less cost, and
-- without harm to what else the caller does: where a queue is missing, damaged, locked or not ours to
-- write, they do nothing. A message that stays stands for no step any more, and is deleted when it is
-- received; a lease that stays as it is ends earlier.
--
-- Such a guard is a subtransaction. The calls that run steps go without while all is well: p_guarded
-- says whether a queue in trouble is left out, or ends the call with its error. Who calls them without
-- makes a call that failed again with it.

-- Deletes messages of a queue. Waits for one that another transaction holds until the lock_timeout of
-- the caller.
create function tasker.delete_messages(
  p_queue_name text, p_msg_ids bigint[], p_guarded boolean default true
)
returns void
language plpgsql
as $$
begin
  if p_guarded then
    begin
      perform tasker.delete_messages(p_queue_name, p_msg_ids, false);
    exception when others then
      null;
    end;
    return;
  end if;
  execute format('delete from pgmq.%I where msg_id = any($1)', 'q_' || p_queue_name)
  using p_msg_ids;
end
$$;

-- Makes messages of a queue visible in p_delay_ms, and answers why it could not, or null. Waits for
-- none that another transaction holds.
create function tasker.delay_messages(p_queue_name text, p_msg_ids bigint[], p_delay_ms bigint)
returns text
language plpgsql
as $$
begin
  execute format(
    'update pgmq.%1$I set vt = $2 where msg_id = any(array(
      select q.msg_id from pgmq.%1$I q where q.msg_id = any($1) for update skip locked
    ))', 'q_' || p_queue_name
  )
  using p_msg_ids, clock_timestamp() + p_delay_ms * interval '1 ms';
  return null;
exception when others then
  return sqlerrm;
end
$$;

-- Makes messages of a queue visible that stand for steps which were given back, and lets them say so:
-- one that was handed on says what it stood for before. Otherwise as tasker.delay_messages().
create function tasker.return_messages(p_queue_name text, p_msg_ids bigint[], p_messages jsonb[])
returns text
language plpgsql
as $$
begin
  execute format(
    'update pgmq.%1$I q set vt = $3, message = r.message
    from unnest($1, $2) as r(msg_id, message)
    where q.msg_id = r.msg_id and q.msg_id = any(array(
      select q.msg_id from pgmq.%1$I q where q.msg_id = any($1) for update skip locked
    ))', 'q_' || p_queue_name
  )
  using p_msg_ids, p_messages, clock_timestamp();
  return null;
exception when others then
  return sqlerrm;
end
$$;

-- The positions of steps (from 1) that another transaction holds, themselves or their task. Locks all
-- others, the tasks first.
create function tasker.locked_positions(p_task_uuids uuid[], p_step_nos int[])
returns int[]
language plpgsql
as $$
declare
  v_tasks uuid[];
  v_steps uuid[];
begin
  v_tasks := array(
    select t.task_uuid from tasker.tasks t
    where t.task_uuid = any(p_task_uuids)
    order by t.task_uuid
    for no key update skip locked
  );
  v_steps := array(
    select tasker.step_uuid(s.task_uuid, s.step_no)
    from unnest(p_task_uuids, p_step_nos) as r(task_uuid, step_no)
    cross join lateral (
      select * from tasker.steps s
      where s.task_uuid = r.task_uuid and s.step_no = r.step_no and s.task_uuid = any(v_tasks)
      for no key update skip locked
    ) s
  );
  return array(
    select r.position::int
    from unnest(p_task_uuids, p_step_nos) with ordinality as r(task_uuid, step_no, position)
    where tasker.step_uuid(r.task_uuid, r.step_no) <> all(v_steps)
      and exists (
        select from tasker.steps s where s.task_uuid = r.task_uuid and s.step_no = r.step_no
      )
    order by 1
  );
end
$$;
