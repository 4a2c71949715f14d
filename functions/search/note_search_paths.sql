-- Notes the paths that a version of a template names.
create or replace function tasker.note_search_paths(p_template_id int, p_paths text[])
returns void
language plpgsql
as $$
begin
  insert into tasker.search_paths (namespace, name, path)
  select t.namespace, t.name, p.path
  from tasker.templates t
  cross join unnest(p_paths) as p(path)
  where t.template_id = p_template_id
  order by p.path
  on conflict do nothing;

  insert into tasker.template_paths (template_id, path, path_id)
  select t.template_id, s.path, s.path_id
  from tasker.templates t
  join tasker.search_paths s
    on s.namespace = t.namespace and s.name = t.name and s.path = any(p_paths)
  where t.template_id = p_template_id;
end
$$;
