-- Updates the dependents of steps that have just been satisfied: each waits on one less, and those
-- that wait on none are ready. The caller holds the locks of the tasks.
--
-- Where p_handlers is given, a satisfied step with a message in p_msg_ids hands that message on to
-- one of its ready dependents whose handler is among them: that one starts at once, in the hands of
-- p_worker, without its turn in the queue. Not so where something more urgent is ready or of the
-- priority p_urgent, nor where it would be given so much that a receipt has to count the bytes. The
-- message keeps its lease; where a timeout is shorter than p_lease_ms, lease_ms is its new length.
--
-- With p_enqueues, those that are ready and do not start at once are put into their queue, as a claim
-- would do it later; that their priority is in use was noted with the first steps of their task. Raises
-- what the queue raises. Up to p_room more of those that may start, the most urgent first, start beside
-- the one that takes a message over: each on a message of its own, which is under a lease from the
-- start. Together they are given as much as one answer may carry.
--
-- p_result_bytes are the sizes of the results of the satisfied steps. They count for the dependents
-- that are given them, not for those that ask for them.
--
-- Answers the task of each step that became ready and waits for a claim; the steps that were enqueued,
-- and their queues, for the caller to wake; and the steps that were started: first those that took a
-- message over, each with the position of the step that it followed, and whether that is the only one
-- of these that it waited for. The caller logs them. In plpgsql because that keeps its plans for the session.
create or replace function tasker.free_dependents(
  p_task_uuids uuid[], p_step_nos int[], p_template_ids int[], p_now timestamptz,
  p_worker text default null, p_msg_ids bigint[] default null, p_handlers text[] default null,
  p_lease_ms bigint default null, p_urgent int default null, p_result_bytes int[] default null,
  p_enqueues boolean default false, p_room int default 0,
  out ready_tasks uuid[],
  out enqueued_tasks uuid[], out enqueued_steps int[], out enqueued_attempts int[],
  out woken_queues text[],
  out started_tasks uuid[], out started_steps int[], out started_attempts int[],
  out started_msgs bigint[], out followed int[], out only_parent boolean[], out lease_ms bigint[]
)
language plpgsql
as $$
declare
  -- What a dependent may be given to be started in the place of the step before it.
  c_most_bytes constant bigint := 1024 * 1024;
  -- And all together that are started beside.
  c_most_bytes_beside constant bigint := 8 * 1024 * 1024;
  v_urgent int;
begin
  if p_handlers is not null then
    select r.priority into v_urgent
    from tasker.ready_steps r
    order by r.priority desc, r.ready_no
    limit 1;
    v_urgent := greatest(v_urgent, p_urgent);
  end if;

  with freed as (
    select d.task_uuid, e.step_no, count(*)::int as parents,
      coalesce(sum(d.result_bytes), 0) as bytes,
      (array_agg(d.position::int order by d.step_no) filter (where d.msg_id is not null))[1]
        as followed,
      min(ts.timeout_ms) as timeout_ms
    from unnest(p_task_uuids, p_step_nos, p_template_ids, p_msg_ids, p_result_bytes)
      with ordinality as d(task_uuid, step_no, template_id, msg_id, result_bytes, position)
    join tasker.template_steps ts on ts.template_id = d.template_id and ts.step_no = d.step_no
    cross join unnest(ts.dependents) as e(step_no)
    group by d.task_uuid, e.step_no
  ), child as (
    select s.task_uuid, s.step_no, s.template_id, f.parents, g.bytes, f.followed, t.priority,
      ts.handler, ts.timeout_ms, s.input_bytes + g.bytes as given,
      s.waiting_on = f.parents and s.state = 'pending' as is_ready,
      f.followed is not null and t.state = 'in_progress'
        and (v_urgent is null or t.priority >= v_urgent)
        and s.waiting_on = f.parents and s.state = 'pending'
        and s.input_bytes + g.bytes <= c_most_bytes
        and ts.handler = any(p_handlers) as may_start,
      case when least(f.timeout_ms, ts.timeout_ms) + tasker.timeout_grace_ms() < p_lease_ms
        then least(ts.timeout_ms + tasker.timeout_grace_ms(), p_lease_ms) end as lease_ms
    from freed f
    -- By their whole keys, as in tasker.describe_steps().
    cross join lateral (
      select * from tasker.steps s
      where s.task_uuid = f.task_uuid and s.step_no = f.step_no
      offset 0
    ) s
    cross join lateral (
      select * from tasker.tasks t where t.task_uuid = f.task_uuid offset 0
    ) t
    cross join lateral (
      select * from tasker.template_steps ts
      where ts.template_id = s.template_id and ts.step_no = s.step_no
      offset 0
    ) ts
    cross join lateral (
      select case ts.dependency_results when 'inline' then f.bytes else 0 end as bytes
    ) g
  ), chosen as (
    select c.*,
      c.may_start and row_number() over (
        partition by c.followed, c.may_start order by c.step_no
      ) = 1 as starts
    from child c
  ), placed as (
    select c.*,
      coalesce(
        p_enqueues and c.may_start and not c.starts
          and row_number() over beside <= p_room and sum(c.given) over beside <= c_most_bytes_beside,
        false
      ) as starts_beside
    from chosen c
    window beside as (
      partition by c.may_start and not c.starts order by c.priority desc, c.task_uuid, c.step_no
    )
  ), sent as materialized (
    select q.*, tasker.send_messages(q.queue_name, q.messages, q.leases_ms) as msg_ids
    from (
      select n.queue_name, array_agg(c.task_uuid) as tasks, array_agg(c.step_no) as steps,
        array_agg(c.bytes) as bytes, array_agg(c.starts_beside) as start,
        array_agg(tasker.step_message(c.task_uuid, c.step_no, c.handler, c.priority)) as messages,
        case when bool_or(c.starts_beside) then array_agg(
          case when c.starts_beside
            then least(c.timeout_ms + tasker.timeout_grace_ms(), p_lease_ms) end
        ) end as leases_ms,
        bool_and(c.starts_beside) as all_start
      from placed c
      join tasker.templates t on t.template_id = c.template_id
      join tasker.namespaces n on n.namespace = t.namespace
      where p_enqueues and c.is_ready and c.starts is not true
      group by n.queue_name
    ) q
  ), enqueued as (
    update tasker.steps s
    set waiting_on = 0, input_bytes = s.input_bytes + m.bytes,
      state = case when m.starts then 'in_progress' else 'enqueued' end::tasker.step_state,
      attempt = s.attempt + m.starts::int,
      receipt = s.receipt + m.starts::int,
      msg_id = m.msg_id,
      worker = case when m.starts then p_worker else s.worker end,
      enqueued_at = p_now,
      started_at = case when m.starts then p_now else s.started_at end
    from sent q
    cross join lateral unnest(q.tasks, q.steps, q.bytes, q.start, q.msg_ids)
      as m(task_uuid, step_no, bytes, starts, msg_id)
    where s.task_uuid = m.task_uuid and s.step_no = m.step_no
    returning s.task_uuid, s.step_no, s.attempt, s.msg_id, m.starts
  ), queued as (
    select array_agg(e.task_uuid) as tasks, array_agg(e.step_no) as steps,
      array_agg(e.attempt) as attempts
    from enqueued e
    where not e.starts
  ), beside as (
    select coalesce(array_agg(e.task_uuid), '{}') as tasks,
      coalesce(array_agg(e.step_no), '{}') as steps,
      coalesce(array_agg(e.attempt), '{}') as attempts,
      coalesce(array_agg(e.msg_id), '{}') as msgs
    from enqueued e
    where e.starts
  ), counted as (
    update tasker.steps s
    set waiting_on = s.waiting_on - c.parents,
      input_bytes = s.input_bytes + c.bytes,
      state = case when c.starts then 'in_progress' else s.state end,
      attempt = s.attempt + coalesce(c.starts, false)::int,
      receipt = s.receipt + coalesce(c.starts, false)::int,
      msg_id = case when c.starts then p_msg_ids[c.followed] else s.msg_id end,
      worker = case when c.starts then p_worker else s.worker end,
      enqueued_at = case when c.starts then p_now else s.enqueued_at end,
      started_at = case when c.starts then p_now else s.started_at end
    from placed c
    where s.task_uuid = c.task_uuid and s.step_no = c.step_no
      and (c.starts or not p_enqueues or not c.is_ready)
    returning s.task_uuid, s.step_no, s.template_id, s.attempt, s.msg_id, c.followed, c.parents, c.priority,
      c.lease_ms, c.is_ready, coalesce(c.starts, false) as starts
  ), made_ready as (
    insert into tasker.ready_steps (task_uuid, step_no, template_id, priority, ready_at)
    select c.task_uuid, c.step_no, c.template_id, c.priority, p_now
    from counted c
    where c.is_ready and not c.starts
  )
  select
    coalesce(array_agg(c.task_uuid) filter (where c.is_ready and not c.starts), '{}'),
    coalesce(array_agg(c.task_uuid) filter (where c.starts), '{}') || (select b.tasks from beside b),
    coalesce(array_agg(c.step_no) filter (where c.starts), '{}') || (select b.steps from beside b),
    coalesce(array_agg(c.attempt) filter (where c.starts), '{}') || (select b.attempts from beside b),
    coalesce(array_agg(c.msg_id) filter (where c.starts), '{}') || (select b.msgs from beside b),
    coalesce(array_agg(c.followed) filter (where c.starts), '{}'),
    coalesce(array_agg(c.parents = 1) filter (where c.starts), '{}'),
    coalesce(array_agg(c.lease_ms) filter (where c.starts), '{}'),
    coalesce((select q.tasks from queued q), '{}'), (select q.steps from queued q),
    (select q.attempts from queued q),
    array(select q.queue_name from sent q where not q.all_start)
  into ready_tasks, started_tasks, started_steps, started_attempts, started_msgs, followed, only_parent,
    lease_ms, enqueued_tasks, enqueued_steps, enqueued_attempts, woken_queues
  from counted c;
end
$$;
