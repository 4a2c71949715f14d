-- Notes what new tasks can be found by: the values at the paths that their templates name, up to 32 of
-- each list. Other values than texts, numbers and booleans give none.
create or replace function tasker.note_search_values(
  p_task_uuids uuid[], p_new boolean[], p_template_ids int[], p_contexts jsonb[]
)
returns void
language plpgsql
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set jit to off
as $$
begin
  insert into tasker.search_values (path_id, task_uuid, value, number)
  select p.path_id, n.task_uuid, left(v.value, 256), case
    when jsonb_typeof(e.element) = 'string' then tasker.number_of(v.value)
    when jsonb_typeof(e.element) = 'number' and length(v.value) <= 256 then v.value::numeric
  end
  from unnest(p_task_uuids, p_new, p_template_ids, p_contexts)
    as n(task_uuid, is_new, template_id, context)
  join tasker.template_paths p on p.template_id = n.template_id
  -- Of what is no list this is the value itself.
  cross join lateral jsonb_path_query(n.context #> p.keys, '$[0 to 31]') as e(element)
  cross join lateral (select e.element #>> '{}' as value) v
  where n.is_new and jsonb_typeof(e.element) in ('string', 'number', 'boolean')
  on conflict do nothing;
end
$$;
