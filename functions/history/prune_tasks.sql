-- Deletes tasks that ended longer ago than their retention, with all that belongs to them, of those
-- submitted after p_after and before p_before: up to p_most_tasks, and so few that the transaction
-- stays short. Answers where to go on, null at the end. p_retention is that of
-- tasker.retention_rules().
--
-- A task that has not ended, or that another transaction holds, stays as it is: an operator who
-- retries a failed one at this moment is either first, or gets the answer that there is none.
--
-- p_archive is `none`; `table`, and what is deleted is in tasker.archived_tasks by the same
-- transaction; or `file`, and it is in `documents`, for the caller to store before it commits. Tasks
-- whose results are too large for a document are then not deleted but counted. Not durable by itself.
create or replace function tasker.prune_tasks(
  p_retention jsonb, p_after uuid, p_before uuid, p_most_tasks int, p_archive text
)
returns table (
  reached uuid, task_uuids uuid[], namespaces text[], outcomes text[], documents text[],
  too_large int
)
language plpgsql
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set jit to off
as $$
#variable_conflict use_column
declare
  -- Tasks that a call looks at, rows that it deletes as far as the templates tell, and bytes of
  -- results that it archives: what tasker.get_task() answers whole.
  c_most_seen constant int := 2000;
  c_most_rows constant int := 5000;
  c_most_bytes constant bigint := 32 * 1024 * 1024;
  -- The logs are read from a batch's first task to its last, so that those lie close together.
  c_span constant interval := interval '10 min';
  v_now timestamptz := tasker.now();
  v_ended_before jsonb;
  v_seen int;
  v_last_seen uuid;
  v_is_cut boolean;
  v_tasks uuid[];
  v_states tasker.task_state[];
  v_ends timestamptz[];
  v_small uuid[];
  v_templates int[];
  v_keys text[];
  v_submissions timestamptz[];
begin
  perform set_config('synchronous_commit', 'off', true);
  task_uuids := '{}';
  too_large := 0;
  select jsonb_object_agg(r.template_id || ' ' || r.outcome, v_now - r.retention)
  into v_ended_before
  from tasker.retention_rules(p_retention) r;

  with seen as materialized (
    select t.task_uuid, t.template_id, t.state, t.finished_at, t.active_steps
    from tasker.tasks t
    where t.task_uuid > p_after and t.task_uuid < p_before
    order by t.task_uuid
    limit c_most_seen
  ), due as (
    select s.*, row_number() over w as number,
      -- A step has its row and about four moves.
      sum(3 + 5 * tp.step_count) over w - (3 + 5 * tp.step_count) as rows_before,
      tasker.first_task_uuid(tasker.task_uuid_time(first_value(s.task_uuid) over w) + c_span)
        as last_uuid
    from seen s
    join tasker.templates tp on tp.template_id = s.template_id
    where s.active_steps = 0
      and s.finished_at < (v_ended_before ->> (s.template_id || ' ' || s.state))::timestamptz
    window w as (order by s.task_uuid)
  ), fitting as (
    select d.*, d.number <= p_most_tasks and d.rows_before < c_most_rows
      and d.task_uuid < d.last_uuid as fits
    from due d
  )
  select (select count(*) from seen), (select max(task_uuid::text)::uuid from seen),
    coalesce(bool_or(not f.fits), false),
    array_agg(f.task_uuid order by f.task_uuid) filter (where f.fits),
    array_agg(f.state order by f.task_uuid) filter (where f.fits),
    array_agg(f.finished_at order by f.task_uuid) filter (where f.fits)
  into v_seen, v_last_seen, v_is_cut, v_tasks, v_states, v_ends
  from fitting f;
  reached := case
    when v_is_cut then v_tasks[cardinality(v_tasks)]
    when v_seen = c_most_seen then v_last_seen
  end;
  if v_tasks is null then
    return next;
    return;
  end if;

  -- As they were seen, or not at all.
  select array_agg(h.task_uuid order by c.position) into v_tasks
  from unnest(v_tasks, v_states, v_ends) with ordinality
    as c(task_uuid, state, finished_at, position)
  cross join lateral (
    select t.task_uuid from tasker.tasks t
    where t.task_uuid = c.task_uuid and t.state = c.state and t.finished_at = c.finished_at
      and t.active_steps = 0
    for update skip locked
  ) h;

  if p_archive <> 'none' and v_tasks is not null then
    select count(*) filter (where b.bytes > c_most_bytes),
      array_agg(b.task_uuid order by b.position)
        filter (where b.bytes <= c_most_bytes and b.bytes_until_here <= c_most_bytes),
      bool_or(b.bytes <= c_most_bytes and b.bytes_until_here > c_most_bytes)
    into too_large, v_small, v_is_cut
    from (
      select w.task_uuid, w.position, s.bytes,
        sum(s.bytes) filter (where s.bytes <= c_most_bytes) over (order by w.position)
          as bytes_until_here
      from unnest(v_tasks) with ordinality as w(task_uuid, position)
      cross join lateral (
        select sum(s.result_bytes) as bytes from tasker.steps s where s.task_uuid = w.task_uuid
        offset 0
      ) s
    ) b;
    v_tasks := v_small;
    if v_is_cut then
      reached := v_tasks[cardinality(v_tasks)];
    end if;
  end if;
  if v_tasks is null then
    return next;
    return;
  end if;

  if p_archive = 'table' then
    insert into tasker.archived_tasks (task_uuid, archived_at, document)
    select d.task_uuid, v_now, d.document from tasker.task_documents(v_tasks) d;
  elsif p_archive = 'file' then
    select array_agg(d.document::text order by d.task_uuid) into documents
    from tasker.task_documents(v_tasks) d;
  end if;

  delete from tasker.step_log l
  where l.task_uuid between v_tasks[1] and v_tasks[cardinality(v_tasks)]
    and (l.task_uuid = any(v_tasks)) is true;
  delete from tasker.task_transitions l
  where l.task_uuid between v_tasks[1] and v_tasks[cardinality(v_tasks)]
    and (l.task_uuid = any(v_tasks)) is true;
  delete from tasker.timers where task_uuid = any(v_tasks);
  delete from tasker.steps where task_uuid = any(v_tasks);
  with gone as (
    delete from tasker.tasks t where t.task_uuid = any(v_tasks)
    returning t.task_uuid, t.template_id, t.state, t.idempotency_key, t.created_at
  )
  select array_agg(g.task_uuid order by g.task_uuid),
    array_agg(tp.namespace order by g.task_uuid), array_agg(g.state::text order by g.task_uuid),
    array_agg(g.template_id order by g.task_uuid),
    array_agg(g.idempotency_key order by g.task_uuid),
    array_agg(g.created_at order by g.task_uuid)
  into task_uuids, namespaces, outcomes, v_templates, v_keys, v_submissions
  from gone g
  join tasker.templates tp on tp.template_id = g.template_id;
  if exists (select from tasker.template_paths p where p.template_id = any(v_templates)) then
    delete from tasker.search_values s
    using unnest(task_uuids, v_templates) as g(task_uuid, template_id), tasker.template_paths p
    where p.template_id = g.template_id and s.path_id = p.path_id and s.task_uuid = g.task_uuid;
  end if;
  if array_remove(v_keys, null) <> '{}' then
    perform tasker.retire_keys(
      task_uuids, v_templates, v_keys, v_submissions,
      make_interval(hours => coalesce(24 * (p_retention ->> 'idempotency_key_days')::int, 0)), v_now
    );
  end if;
  return next;
end
$$;
