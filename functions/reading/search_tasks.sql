-- Up to p_limit tasks as JSON documents without their steps, the latest submitted first, that a filter
-- finds; its keys are those of tasker.bulk_filter(), and what is left out or null does not restrict.
-- p_before continues after the last task of an earlier answer, p_after before the first: with that the
-- tasks are the earliest ones after it. `since` (inclusive) and `until` compare with the times in the
-- UUIDs, by which tasks are sorted. `step` and `error` find failed tasks: by the name of a step that
-- failed, and by a part of what its error says; failed_step is the first step that failed, of those that
-- match. Raises what tasker.search_plan() raises.
create or replace function tasker.search_tasks(
  p_filter jsonb, p_limit int, p_before uuid default null, p_after uuid default null
)
returns setof jsonb
language plpgsql
stable
set enable_seqscan to off
set enable_bitmapscan to off
set enable_sort to off
set enable_hashjoin to off
set enable_mergejoin to off
set jit to off
as $$
declare
  v_namespace text := p_filter ->> 'namespace';
  v_name text := p_filter ->> 'name';
  v_version text := p_filter ->> 'version';
  v_step text := p_filter ->> 'step';
  v_error text := p_filter ->> 'error';
  v_since uuid := tasker.first_task_uuid((p_filter ->> 'since')::timestamptz);
  v_until uuid := tasker.first_task_uuid((p_filter ->> 'until')::timestamptz);
  v_below uuid := coalesce(least(p_before, v_until), 'ffffffff-ffff-ffff-ffff-ffffffffffff');
  v_above uuid := coalesce(p_after, '00000000-0000-0000-0000-000000000000');
  v_finds_failures boolean := v_step is not null or v_error is not null;
  v_wanted tasker.task_state := coalesce(
    p_filter ->> 'state', case when v_finds_failures then 'error' end
  );
  v_listed_as tasker.task_state := case v_wanted when 'pending' then 'in_progress' else v_wanted end;
  v_order text := case when p_after is null then 'desc' else 'asc' end;
  v_edge text := '< (%s$2)';
  v_bounds text := '';
  v_restricted text := '';
  v_columns text := '';
  v_values text := '';
  v_templates int[];
  v_path_ids int[];
  v_found uuid[];
  v_clause text;
  v_operand text;
  v_probe text := '';
  v_failed text;
  v_source text;
begin
  -- No step of a complete task failed; nobody has to walk through all of them to see that.
  if v_finds_failures and v_wanted = 'complete' then
    return;
  end if;
  if jsonb_array_length(nullif(p_filter -> 'where', 'null')) > 0 then
    select s.probe, s.probes, s.few, s.path_ids, s.clause, s.operand
    into v_probe, v_restricted, v_found, v_path_ids, v_clause, v_operand
    from tasker.search_plan(p_filter, v_listed_as, greatest(v_above, v_since), v_below) s;
  end if;
  if coalesce(v_namespace, v_name, v_version) is not null then
    v_templates := array(
      select template_id from tasker.templates
      where (v_namespace is null or namespace = v_namespace) and (v_name is null or name = v_name)
        and (v_version is null or version = v_version)
    );
  end if;
  if p_filter ->> 'key' is not null then
    v_found := array(
      select (
        select k.task_uuid from tasker.idempotency_keys k
        where k.namespace = t.namespace and k.name = t.name
          and k.idempotency_key = p_filter ->> 'key'
      )
      from tasker.templates t
      where (v_namespace is null or t.namespace = v_namespace)
        and (v_name is null or t.name = v_name)
      group by t.namespace, t.name
    );
  end if;
  if p_filter ->> 'tasks' is not null then
    v_found := array(
      select w.task_uuid from unnest(tasker.selected_tasks(p_filter -> 'tasks')) as w(task_uuid)
      where p_filter ->> 'key' is null or w.task_uuid = any(v_found)
    );
  end if;

  -- The step that failed. A subquery that answers one row is run for each task by itself, which no
  -- plan can turn into a join that reads the steps of all tasks.
  v_failed := ' from tasker.steps s where s.task_uuid = t.task_uuid and s.state = ''error'''
    || case when v_step is null then '' else ' and s.step_no = (
      select d.step_no from tasker.template_steps d
      where d.name = $5 and d.template_id = t.template_id
    )' end
    || case when v_error is null then '' else ' and strpos(
      lower(concat_ws('': '', s.error ->> ''kind'', s.error ->> ''message'')), lower($6)
    ) > 0' end
    || ' order by s.step_no limit 1';

  -- The restrictions are spelled out so that each combination is planned by itself.
  if v_wanted = 'complete' then
    v_restricted := ' and t.state = ''complete''' || v_restricted;
  elsif v_wanted is not null then
    v_restricted := ' and t.state = ' || quote_literal(v_wanted)
      || ' and t.listed_as <> ''complete''' || v_restricted;
  end if;
  if v_templates is not null and (v_found is not null or v_clause is not null) then
    -- No index is to be taken for it: these tasks are found by their UUIDs.
    v_restricted := v_restricted || ' and (t.template_id = any($1)) is true';
  end if;
  if v_finds_failures then
    v_restricted := v_restricted || ' and t.failed_steps > 0 and (select true' || v_failed || ')';
  end if;

  -- Of each template, or path, the first are taken before all are merged: nothing else finds those
  -- of a template that was last used long ago. Where there is a choice, pages begin and end by comparing
  -- rows, and are in the order of these, which only the index that is meant can do.
  if v_order = 'asc' then
    v_edge := '> (%s$8)';
    v_bounds := ' and t.task_uuid < $2';
  end if;
  if v_since is not null then
    v_bounds := v_bounds || ' and t.task_uuid >= $4';
  end if;
  if v_found is not null then
    v_found := array(
      select f.task_uuid from unnest(v_found) as f(task_uuid)
      where f.task_uuid > v_above and f.task_uuid < v_below
      group by f.task_uuid
      order by case v_order when 'desc' then f.task_uuid end desc, f.task_uuid
    );
    v_source := '(
      select t.* from unnest($7) as w(task_uuid)
      cross join lateral (
        select * from tasker.tasks t
        where t.task_uuid = w.task_uuid' || v_bounds || v_restricted || v_probe || ' offset 0
      ) t
      limit $3
    ) t';
  elsif v_clause is not null then
    v_source := tasker.search_source(
      v_clause, v_operand, v_order, v_edge, v_bounds, v_restricted
    );
  else
    if v_wanted <> 'complete' then
      v_columns := 't.listed_as, ';
      v_values := quote_literal(v_listed_as) || ', ';
    elsif v_templates is not null then
      v_columns := 't.template_id, ';
      v_values := 'w.template_id, ';
    end if;
    v_source := format(
      '(
        select * from tasker.tasks t
        where (%1$st.task_uuid) < (%2$s$2) and (%1$st.task_uuid) %3$s%4$s
        order by %5$st.task_uuid %6$s
        limit $3
      ) t',
      v_columns, v_values,
      case v_order when 'desc' then format('>= (%s$4)', v_values)
        else format(v_edge, v_values) || v_bounds end,
      v_restricted || case when v_wanted <> 'complete' and v_templates is not null
        then ' and t.template_id = w.template_id' else '' end,
      replace(v_columns, ',', ' ' || v_order || ','), v_order
    );
    if v_templates is not null then
      v_source := 'unnest($1) as w(template_id) cross join lateral ' || v_source;
    end if;
  end if;

  return query execute format(
    'select d.document from (
      select t.task_uuid, jsonb_build_object(
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
          )%s
        ) end
      ) as document
      from %s
      join tasker.templates tp on tp.template_id = t.template_id
      order by t.task_uuid %s limit $3
    ) d
    order by d.task_uuid desc',
    v_failed, v_source, v_order
  )
  using v_templates, v_below, p_limit,
    coalesce(v_since, '00000000-0000-0000-0000-000000000000'), v_step, v_error, v_found, v_above,
    v_path_ids;
end
$$;
