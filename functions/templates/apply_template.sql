-- Stores a version of a template from its document, in which every default is filled in, and makes
-- its namespace and queue where they are new. The same document again changes nothing.
-- Raises TK409 when the version exists with another body, TK400 when the input schema uses what
-- tasker.json_schema_error does not honour, or `search` has what is no path.
create or replace function tasker.apply_template(
  p_document jsonb, out template_id int, out created boolean
)
language plpgsql
as $$
declare
  v_namespace text := p_document ->> 'namespace';
  v_schema jsonb := nullif(p_document -> 'input_schema', 'null');
  v_refusal text;
  v_body jsonb;
begin
  if v_schema is not null then
    v_refusal := tasker.json_schema_refusal(v_schema);
    if v_refusal is not null then
      raise exception using
        errcode = 'TK400', message = format('input_schema: %s', v_refusal);
    end if;
  end if;
  v_refusal := tasker.search_refusal(p_document -> 'search');
  if v_refusal is not null then
    raise exception using errcode = 'TK400', message = format('search: %s', v_refusal);
  end if;

  insert into tasker.namespaces (namespace) values (v_namespace) on conflict do nothing;
  if found then
    perform tasker.create_queue(queue_name) from tasker.namespaces
    where namespace = v_namespace;
  end if;

  insert into tasker.templates as t
    (namespace, name, version, description, input_schema, body, step_count)
  values (
    v_namespace, p_document ->> 'name', p_document ->> 'version', p_document ->> 'description',
    v_schema, p_document, jsonb_array_length(p_document -> 'steps')
  )
  on conflict on constraint a_version_is_applied_once do nothing
  returning t.template_id into apply_template.template_id;
  created := found;

  if not created then
    select t.template_id, t.body into apply_template.template_id, v_body
    from tasker.templates t
    where t.namespace = v_namespace
      and t.name = p_document ->> 'name' and t.version = p_document ->> 'version';
    if v_body <> p_document then
      raise exception using
        errcode = 'TK409',
        message = format(
          'version %s of template %s/%s exists with another body',
          p_document ->> 'version', v_namespace, p_document ->> 'name'
        ),
        hint = 'a version never changes: raise the version';
    end if;
    return;
  end if;

  with step as (
    select ordinality::int as step_no, body
    from jsonb_array_elements(p_document -> 'steps') with ordinality as s(body, ordinality)
  ), edge as (
    select child.step_no as child_no, parent.step_no as parent_no
    from step child
    cross join jsonb_array_elements_text(child.body -> 'depends_on') as d(parent_name)
    join step parent on parent.body ->> 'name' = d.parent_name
  ), parents as (
    select child_no as step_no, array_agg(parent_no order by parent_no) as depends_on
    from edge group by child_no
  ), children as (
    select parent_no as step_no, array_agg(child_no order by child_no) as dependents
    from edge group by parent_no
  )
  insert into tasker.template_steps
  select
    apply_template.template_id, step_no, body ->> 'name', body ->> 'handler', body -> 'input',
    coalesce(parents.depends_on, '{}'), coalesce(children.dependents, '{}'),
    (body #>> '{retry,max_attempts}')::int, body #>> '{retry,backoff}',
    (body #>> '{retry,base_ms}')::bigint, (body #>> '{retry,max_ms}')::bigint,
    (body #>> '{retry,jitter}')::boolean, (body ->> 'timeout_ms')::int,
    coalesce(body ->> 'dependency_results', 'inline')
  from step
  left join parents using (step_no)
  left join children using (step_no);

  if p_document ? 'search' then
    perform tasker.note_search_paths(
      apply_template.template_id, array(select jsonb_array_elements_text(p_document -> 'search'))
    );
  end if;
end
$$;
