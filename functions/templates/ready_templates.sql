-- The templates of the namespaces that have ready steps. Reads one row of each template that has
-- any, however many they have: it leaps from one to the next in the index.
create or replace function tasker.ready_templates(p_namespaces text[])
returns int[]
language plpgsql
stable
as $$
begin
  return array(
    with recursive present as (
      (select r.template_id from tasker.ready_steps r order by r.template_id limit 1)
      union all
      select (
        select r.template_id from tasker.ready_steps r
        where r.template_id > p.template_id
        order by r.template_id
        limit 1
      )
      from present p
      where p.template_id is not null
    )
    select t.template_id
    from present p
    join tasker.templates t on t.template_id = p.template_id
    where t.namespace = any(p_namespaces)
  );
end
$$;
