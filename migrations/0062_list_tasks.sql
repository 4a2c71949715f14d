-- Up to p_limit tasks as JSON documents without their steps, the latest submitted first; null
-- arguments do not restrict. p_before continues after the last task of an earlier answer.
create function tasker.list_tasks(
  p_namespace text, p_name text, p_state tasker.task_state, p_before uuid, p_limit int
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
  v_templates int[];
  v_state text;
  v_listed_as tasker.task_state := case p_state when 'pending' then 'in_progress' else p_state end;
  v_before text;
begin
  if p_namespace is not null or p_name is not null then
    v_templates := array(
      select template_id from tasker.templates
      where (p_namespace is null or namespace = p_namespace) and (p_name is null or name = p_name)
    );
  end if;
  -- The restrictions are spelled out so that each combination is planned by itself. Of each
  -- template the latest are taken before all are merged: nothing else finds those of a template
  -- that was last used long ago. Where there is a choice, pages begin by comparing rows, which only
  -- the index that is meant can do.
  v_state := case
    when p_state = 'complete' then ' and t.state = ''complete'''
    when p_state is not null then ' and t.state = ' || quote_literal(p_state)
      || ' and t.listed_as = ' || quote_literal(v_listed_as)
    else ''
  end;
  v_before := case
    when p_before is null and v_templates is null then ''
    when p_state <> 'complete' then ' and (t.listed_as, t.task_uuid) < ('
      || quote_literal(v_listed_as) || ', $2)'
    when v_templates is null then ' and t.task_uuid < $2'
    else ' and (t.template_id, t.task_uuid) < (w.template_id, $2)'
  end;
  return query execute
    'select jsonb_build_object(
      ''task_uuid'', t.task_uuid, ''namespace'', tp.namespace, ''name'', tp.name,
      ''version'', tp.version, ''state'', t.state, ''priority'', t.priority,
      ''created_at'', t.created_at, ''started_at'', t.started_at, ''finished_at'', t.finished_at
    )
    from '
    || case when v_templates is null then '(
      select * from tasker.tasks t where true' || v_state || v_before || '
      order by t.task_uuid desc limit $3
    ) t' else 'unnest($1) as w(template_id)
    cross join lateral (
      select * from tasker.tasks t where t.template_id = w.template_id' || v_state || v_before || '
      order by t.task_uuid desc limit $3
    ) t' end || '
    join tasker.templates tp on tp.template_id = t.template_id
    order by t.task_uuid desc limit $3'
    using v_templates, coalesce(p_before, 'ffffffff-ffff-ffff-ffff-ffffffffffff'), p_limit;
end
$$;
