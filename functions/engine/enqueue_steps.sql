-- The part of a claim that concerns one queue: sends the messages and moves the steps they stand for.
-- With p_guarded, answers why it could not, else null.
create or replace function tasker.enqueue_steps(
  p_queue_name text, p_task_uuids uuid[], p_step_nos int[], p_states tasker.step_state[],
  p_attempts int[], p_messages jsonb[], p_processor text, p_now timestamptz, p_guarded boolean
)
returns text
language plpgsql
as $$
declare
  v_msgs bigint[];
begin
  if p_guarded then
    begin
      return tasker.enqueue_steps(
        p_queue_name, p_task_uuids, p_step_nos, p_states, p_attempts, p_messages, p_processor,
        p_now, false
      );
    exception
      when read_only_sql_transaction then
        raise;
      when others then
        if sqlstate = '55P03' then
          -- One such wait a call is enough.
          perform set_config('lock_timeout', '10ms', true);
        end if;
        return sqlerrm;
    end;
  end if;
  v_msgs := tasker.send_messages(p_queue_name, p_messages);
  with step as (
    select *
    from unnest(p_task_uuids, p_step_nos, p_states, p_attempts, v_msgs)
      as q(task_uuid, step_no, state, attempt, msg_id)
  ), enqueued as (
    update tasker.steps s set state = 'enqueued', msg_id = q.msg_id, enqueued_at = p_now
    from step q
    where s.task_uuid = q.task_uuid and s.step_no = q.step_no
  )
  insert into tasker.step_log
    (task_uuid, at, step_no, attempt, from_state, to_state, actor)
  select q.task_uuid, p_now, q.step_no, q.attempt, q.state, 'enqueued', p_processor
  from step q;

  perform pg_notify('pgmq.q_' || p_queue_name || '.INSERT', '');
  return null;
end
$$;
