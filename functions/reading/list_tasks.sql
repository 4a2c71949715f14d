-- Up to p_limit tasks as JSON documents without their steps, the latest submitted first; null
-- arguments do not restrict. p_before continues after the last task of an earlier answer; p_since
-- (inclusive) and p_until compare with the times in the UUIDs, by which tasks are sorted. p_step and
-- p_error find failed tasks: by the name of a step that failed, and by a part of what its error says.
-- failed_step is the first step that failed, of those that match.
create or replace function tasker.list_tasks(
  p_namespace text, p_name text, p_state tasker.task_state, p_before uuid, p_limit int,
  p_since timestamptz default null, p_until timestamptz default null, p_key text default null,
  p_step text default null, p_error text default null
)
returns setof jsonb
language plpgsql
stable
set enable_seqscan to off
set enable_bitmapscan to off
set enable_sort to off
set jit to off
as $$
declare
  v_finds_failures boolean := p_step is not null or p_error is not null;
  v_wanted tasker.task_state := case when v_finds_failures then coalesce(p_state, 'error')
    else p_state end;
  v_listed_as tasker.task_state := case v_wanted when 'pending' then 'in_progress' else v_wanted end;
  v_last uuid := least(p_before, tasker.first_task_uuid(p_until));
  v_templates int[];
  v_keyed uuid[];
  v_restricted text := '';
  v_before text;
  v_failed text;
begin
  -- No step of a complete task failed; nobody has to walk through all of them to see that.
  if v_finds_failures and v_wanted = 'complete' then
    return;
  end if;
  if p_key is not null then
    v_keyed := array(
      select (
        select k.task_uuid from tasker.idempotency_keys k
        where k.namespace = t.namespace and k.name = t.name and k.idempotency_key = p_key
      )
      from tasker.templates t
      where (p_namespace is null or t.namespace = p_namespace)
        and (p_name is null or t.name = p_name)
      group by t.namespace, t.name
    );
  elsif p_namespace is not null or p_name is not null then
    v_templates := array(
      select template_id from tasker.templates
      where (p_namespace is null or namespace = p_namespace) and (p_name is null or name = p_name)
    );
  end if;

  -- The step that failed. A subquery that answers one row is run for each task by itself, which no
  -- plan can turn into a join that reads the steps of all tasks.
  v_failed := ' from tasker.steps s where s.task_uuid = t.task_uuid and s.state = ''error'''
    || case when p_step is null then '' else ' and s.step_no = (
      select d.step_no from tasker.template_steps d
      where d.name = $5 and d.template_id = t.template_id
    )' end
    || case when p_error is null then '' else ' and strpos(
      lower(concat_ws('': '', s.error ->> ''kind'', s.error ->> ''message'')), lower($6)
    ) > 0' end
    || ' order by s.step_no limit 1';

  -- The restrictions are spelled out so that each combination is planned by itself. Of each
  -- template the latest are taken before all are merged: nothing else finds those of a template
  -- that was last used long ago. Where there is a choice, pages begin by comparing rows, which only
  -- the index that is meant can do.
  if v_wanted = 'complete' then
    v_restricted := ' and t.state = ''complete''';
  elsif v_wanted is not null then
    v_restricted := ' and t.state = ' || quote_literal(v_wanted)
      || ' and t.listed_as = ' || quote_literal(v_listed_as);
  end if;
  if p_since is not null then
    v_restricted := v_restricted || ' and t.task_uuid >= $4';
  end if;
  if v_finds_failures then
    v_restricted := v_restricted || ' and t.failed_steps > 0 and (select true' || v_failed || ')';
  end if;
  v_before := case
    when v_last is null and v_templates is null then ''
    when v_keyed is not null then ' and t.task_uuid < $2'
    when v_wanted <> 'complete' then ' and (t.listed_as, t.task_uuid) < ('
      || quote_literal(v_listed_as) || ', $2)'
    when v_templates is null then ' and t.task_uuid < $2'
    else ' and (t.template_id, t.task_uuid) < (w.template_id, $2)'
  end;
  return query execute
    'select jsonb_build_object(
      ''task_uuid'', t.task_uuid, ''namespace'', tp.namespace, ''name'', tp.name,
      ''version'', tp.version, ''state'', t.state, ''priority'', t.priority,
      ''created_at'', t.created_at, ''started_at'', t.started_at, ''finished_at'', t.finished_at,
      ''failed_step'', case when t.failed_steps > 0 then (
        select jsonb_build_object(
          ''name'', (
            select d.name from tasker.template_steps d
            where d.template_id = s.template_id and d.step_no = s.step_no
          ),
          ''kind'', s.error ->> ''kind'', ''message'', left(s.error ->> ''message'', 500)
        )' || v_failed || '
      ) end
    )
    from '
    || case when v_keyed is not null then 'unnest($7) as w(task_uuid)
    cross join lateral (
      select * from tasker.tasks t where t.task_uuid = w.task_uuid' || v_restricted || v_before || '
      offset 0
    ) t' when v_templates is null then '(
      select * from tasker.tasks t where true' || v_restricted || v_before || '
      order by t.task_uuid desc limit $3
    ) t' else 'unnest($1) as w(template_id)
    cross join lateral (
      select * from tasker.tasks t where t.template_id = w.template_id'
        || v_restricted || v_before || '
      order by t.task_uuid desc limit $3
    ) t' end || '
    join tasker.templates tp on tp.template_id = t.template_id
    order by t.task_uuid desc limit $3'
    using v_templates, coalesce(v_last, 'ffffffff-ffff-ffff-ffff-ffffffffffff'), p_limit,
      tasker.first_task_uuid(p_since), p_step, p_error, v_keyed;
end
$$;
