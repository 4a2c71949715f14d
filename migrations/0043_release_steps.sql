-- Gives received steps back to their queues unstarted: the attempt does not count. Those refused,
-- because the worker knows no such handler, become visible after a delay and fail for good with
-- the kind `unknown_handler` at the p_max_refusals-th refusal; the others are visible at once.
-- A step that the worker no longer holds is stale. Silent, like tasker.complete_steps.
create function tasker.release_steps(
  p_worker text,
  p_task_uuids uuid[],
  p_step_nos int[],
  p_attempts int[],
  p_msg_ids bigint[],
  p_namespaces text[],
  p_refused boolean[],
  p_delay_ms bigint,
  p_max_refusals int
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
  v_announce text := tasker.be_silent();
  v_released record;
  v_group record;
begin
  perform 1 from tasker.tasks t
  where t.task_uuid = any(p_task_uuids)
  order by t.task_uuid
  for no key update;
  v_now := tasker.now();

  with release as (
    select *
    from unnest(p_task_uuids, p_step_nos, p_attempts, p_msg_ids, p_refused) with ordinality
      as r(task_uuid, step_no, attempt, msg_id, refused, position)
  ), judged as (
    select r.position::int, r.refused, s.task_uuid, s.step_no, s.attempt, s.msg_id,
      case
        when t.state = 'cancelled' then 'cancelled'
        when r.refused and s.refusals + 1 >= p_max_refusals then 'error'
        else 'enqueued'
      end::tasker.step_state as state,
      case when r.refused then jsonb_build_object(
        'kind', 'unknown_handler',
        'message', format(
          'no worker that received the step knows the handler %s (refused %s times, last by %s)',
          quote_literal(ts.handler), s.refusals + 1, p_worker
        )
      ) end as error
    from release r
    join tasker.steps s on s.task_uuid = r.task_uuid and s.step_no = r.step_no
      and s.attempt = r.attempt and s.msg_id = r.msg_id
      and s.state = 'in_progress' and s.worker = p_worker
    cross join lateral (
      select t.state from tasker.tasks t where t.task_uuid = r.task_uuid offset 0
    ) t
    join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
  ), moved as (
    update tasker.steps s
    set state = j.state,
      attempt = case when j.state = 'error' then s.attempt else s.attempt - 1 end,
      refusals = s.refusals + j.refused::int,
      error = coalesce(j.error, s.error),
      msg_id = case when j.state = 'enqueued' then s.msg_id end,
      started_at = case when j.state = 'error' then s.started_at end,
      worker = case when j.state = 'error' then s.worker end,
      finished_at = case when j.state <> 'enqueued' then v_now end
    from judged j
    where s.task_uuid = j.task_uuid and s.step_no = j.step_no
    returning j.position, j.refused, s.task_uuid, s.step_no, j.attempt, s.state, j.error
  ), logged as (
    insert into tasker.step_transitions
      (task_uuid, at, step_no, attempt, from_state, to_state, actor, reason, error)
    select task_uuid, v_now, step_no, attempt, 'in_progress', state, p_worker,
      case when refused then 'refused: unknown handler' else 'released unstarted' end, error
    from moved
  )
  select coalesce(array_agg(position), '{}') as positions,
    coalesce(array_agg(position) filter (where state = 'enqueued'), '{}') as back,
    coalesce(array_agg(task_uuid) filter (where state <> 'enqueued'), '{}') as ended,
    coalesce(array_agg((state = 'error')::int) filter (where state <> 'enqueued'), '{}') as failed
  into v_released
  from moved;

  v_moved.ready_tasks := '{}';
  v_moved.cancelled_tasks := '{}';
  v_moved.timer_set := false;
  v_moved.stale := array(
    select position from generate_series(1, cardinality(p_task_uuids)) as position
    where position <> all(v_released.positions)
  );
  v_moved.finished_tasks := tasker.count_active(
    v_released.ended, array_fill(-1, array[cardinality(v_released.ended)]), v_released.failed,
    p_worker, v_now
  );
  perform set_config('tasker.announce', v_announce, true);

  v_moved.woken_queues := '{}';
  for v_group in
    select n.queue_name as name, p.position = any(v_released.back) as back,
      p_refused[p.position] as refused,
      array_agg(p_msg_ids[p.position] order by p_msg_ids[p.position]) as msg_ids
    from unnest(v_released.positions) as p(position)
    join tasker.namespaces n on n.namespace = p_namespaces[p.position]
    group by 1, 2, 3
    order by 1, 2, 3
  loop
    if not v_group.back then
      perform pgmq.delete(v_group.name, v_group.msg_ids);
    elsif v_group.refused then
      perform pgmq.set_vt(
        v_group.name, v_group.msg_ids, clock_timestamp() + p_delay_ms * interval '1 ms'
      );
      v_moved.timer_set := true;
    else
      perform pgmq.set_vt(v_group.name, v_group.msg_ids, clock_timestamp());
      v_moved.woken_queues := v_moved.woken_queues || v_group.name;
    end if;
  end loop;
  return v_moved;
end
$$;
