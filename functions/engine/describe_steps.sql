-- What a worker needs to know of the steps it holds, each with its message. p_came_back says which
-- of them were in progress when their message was received; null for none. A step that would be given
-- more than p_max_bytes is given nothing and has a problem.
--
-- An attempt whose time is over counts as lost where its worker has not been seen for a while, and as
-- too long only where that worker lives.
--
-- Every row is fetched by its whole key, hence the lateral subqueries: a planner that knows tasks as
-- small would read a task's thousands of steps to find one.
create or replace function tasker.describe_steps(
  p_task_uuids uuid[], p_step_nos int[], p_msg_ids bigint[], p_came_back boolean[],
  p_max_bytes bigint default null
)
returns setof tasker.received_step
language plpgsql
stable
as $$
declare
  v_now timestamptz := tasker.now();
begin
  return query
  select
    h.task_uuid, h.step_no, h.msg_id, tp.namespace,
    tp.namespace || '/' || tp.name || '@' || tp.version, ts.name, ts.handler,
    s.attempt, s.receipt, s.max_attempts, ts.timeout_ms, t.priority,
    case when f.fits then t.context else '{}' end, ts.input,
    case
      when ts.dependency_results = 'on_request' then null
      when ts.depends_on = '{}' or not f.fits then '{}'
      else (
      select coalesce(jsonb_object_agg(ps.name, coalesce(p.result, 'null')), '{}')
      from unnest(ts.depends_on) as d(step_no)
      cross join lateral (
        select ps.name from tasker.template_steps ps
        where ps.template_id = ts.template_id and ps.step_no = d.step_no
        offset 0
      ) ps
      cross join lateral (
        select p.result from tasker.steps p
        where p.task_uuid = h.task_uuid and p.step_no = d.step_no
        offset 0
      ) p
    ) end,
    case
      when h.came_back is not true then null
      when v_now >= s.started_at + ts.timeout_ms * interval '1 ms'
        and tasker.process_is_alive(s.worker) then 'timeout'
      else 'lease_expired'
    end,
    s.input_bytes,
    case when not f.fits then format(
      case when ts.depends_on = '{}' or ts.dependency_results = 'on_request' then
        'its context has %s bytes, and the worker takes at most %s in one receipt '
          '(worker.receive_batch_bytes): keep what is large elsewhere and submit references to it'
      else
        'its context and the results it depends on have %s bytes, and the worker takes at most %s '
          'in one receipt (worker.receive_batch_bytes): either keep large results elsewhere and '
          'return references to them, or give the step `dependency_results: on_request` in its '
          'template and let its handler read them one by one (Step::fetch_dependency)'
      end,
      s.input_bytes, p_max_bytes
    ) end
  from unnest(p_task_uuids, p_step_nos, p_msg_ids, p_came_back)
    as h(task_uuid, step_no, msg_id, came_back)
  cross join lateral (
    select * from tasker.steps s where s.task_uuid = h.task_uuid and s.step_no = h.step_no offset 0
  ) s
  cross join lateral (
    select * from tasker.tasks t where t.task_uuid = h.task_uuid offset 0
  ) t
  cross join lateral (
    select * from tasker.template_steps ts
    where ts.template_id = s.template_id and ts.step_no = h.step_no
    offset 0
  ) ts
  cross join lateral (
    select p_max_bytes is null or s.input_bytes <= p_max_bytes as fits
  ) f
  join tasker.templates tp on tp.template_id = s.template_id;
end
$$;
