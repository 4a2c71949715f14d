-- Gives received steps back to their queues unstarted, where others can receive them at once: the
-- attempt does not count. A step that the worker no longer holds under this receipt is stale, one that
-- another transaction holds is left out, as tasker.complete_steps has it. Silent like that.
create or replace function tasker.release_steps(
  p_worker text,
  p_task_uuids uuid[],
  p_step_nos int[],
  p_receipts int[],
  p_msg_ids bigint[],
  p_namespaces text[]
)
returns tasker.moved
language plpgsql
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set jit to off
as $$
declare
  v_now timestamptz;
  v_moved tasker.moved;
  v_announce text := tasker.suppress_notify();
  v_released record;
  v_group record;
begin
  v_moved.locked := tasker.locked_positions(p_task_uuids, p_step_nos);
  v_now := tasker.now();

  with release as (
    select *
    from unnest(p_task_uuids, p_step_nos, p_receipts, p_msg_ids) with ordinality
      as r(task_uuid, step_no, receipt, msg_id, position)
    where r.position <> all(v_moved.locked)
  ), judged as (
    select r.position::int, s.task_uuid, s.step_no, s.attempt, s.msg_id,
      case when t.state = 'cancelled' then 'cancelled' else 'enqueued' end::tasker.step_state as state
    from release r
    join tasker.steps s on s.task_uuid = r.task_uuid and s.step_no = r.step_no
      and s.receipt = r.receipt and s.msg_id = r.msg_id
      and s.state = 'in_progress' and s.worker = p_worker
    cross join lateral (
      select t.state from tasker.tasks t where t.task_uuid = r.task_uuid offset 0
    ) t
  ), moved as (
    update tasker.steps s
    set state = j.state, attempt = s.attempt - 1,
      msg_id = case when j.state = 'enqueued' then s.msg_id end,
      started_at = null, worker = null,
      finished_at = case when j.state <> 'enqueued' then v_now end
    from judged j
    where s.task_uuid = j.task_uuid and s.step_no = j.step_no
    returning j.position, s.task_uuid, s.step_no, j.attempt, s.state
  ), logged as (
    insert into tasker.step_log
      (task_uuid, at, step_no, attempt, from_state, to_state, actor, reason)
    select task_uuid, v_now, step_no, attempt, 'in_progress', state, p_worker, 'released unstarted'
    from moved
  )
  select coalesce(array_agg(position), '{}') as positions,
    coalesce(array_agg(position) filter (where state = 'enqueued'), '{}') as back,
    coalesce(array_agg(task_uuid) filter (where state <> 'enqueued'), '{}') as ended
  into v_released
  from moved;

  v_moved.ready_tasks := '{}';
  v_moved.cancelled_tasks := '{}';
  v_moved.timer_set := false;
  v_moved.stale := array(
    select position from generate_series(1, cardinality(p_task_uuids)) as position
    where position <> all(v_released.positions) and position <> all(v_moved.locked)
  );
  v_moved.finished_tasks := tasker.count_active(
    v_released.ended, array_fill(-1, array[cardinality(v_released.ended)]), null, p_worker, v_now
  );
  perform set_config('tasker.announce', v_announce, true);

  v_moved.woken_queues := '{}';
  for v_group in
    select n.queue_name as name, p.position = any(v_released.back) as back,
      array_agg(p_msg_ids[p.position] order by p_msg_ids[p.position]) as msg_ids,
      array_agg(
        tasker.step_message(t.task_uuid, ts.step_no, ts.handler, t.priority)
        order by p_msg_ids[p.position]
      ) as messages
    from unnest(v_released.positions) as p(position)
    join tasker.namespaces n on n.namespace = p_namespaces[p.position]
    cross join lateral (
      select * from tasker.tasks t where t.task_uuid = p_task_uuids[p.position] offset 0
    ) t
    cross join lateral (
      select * from tasker.template_steps ts
      where ts.template_id = t.template_id and ts.step_no = p_step_nos[p.position]
      offset 0
    ) ts
    group by 1, 2
    order by 1, 2
  loop
    if v_group.back then
      perform tasker.return_messages(v_group.name, v_group.msg_ids, v_group.messages);
      v_moved.woken_queues := v_moved.woken_queues || v_group.name;
    else
      perform tasker.delete_messages(v_group.name, v_group.msg_ids);
    end if;
  end loop;
  return v_moved;
end
$$;
