-- Up to p_limit tasks as JSON documents without their steps, the latest submitted first; null
-- arguments do not restrict. p_before continues after the last task of an earlier answer.
create function tasker.list_tasks(
  p_namespace text, p_name text, p_state tasker.task_state, p_before uuid, p_limit int
)
returns setof jsonb
language plpgsql
stable
as $$
declare
  v_templates int[];
begin
  if p_namespace is not null or p_name is not null then
    v_templates := array(
      select template_id from tasker.templates
      where (p_namespace is null or namespace = p_namespace) and (p_name is null or name = p_name)
    );
  end if;
  -- The restrictions are spelled out so that each combination is planned by itself.
  return query execute
    'select jsonb_build_object(
      ''task_uuid'', t.task_uuid, ''namespace'', tp.namespace, ''name'', tp.name,
      ''version'', tp.version, ''state'', t.state, ''priority'', t.priority,
      ''created_at'', t.created_at, ''started_at'', t.started_at, ''finished_at'', t.finished_at
    )
    from tasker.tasks t
    join tasker.templates tp on tp.template_id = t.template_id
    where true'
    || case when v_templates is not null then ' and t.template_id = any($1)' else '' end
    || case when p_state is not null then ' and t.state = ' || quote_literal(p_state) else '' end
    || case when p_before is not null then ' and t.task_uuid < $2' else '' end
    || ' order by t.task_uuid desc limit $3'
    using v_templates, p_before, p_limit;
end
$$;
