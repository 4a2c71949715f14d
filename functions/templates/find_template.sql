-- The identity of a version of a template; of the highest version where p_version is null.
-- Raises TK404 when there is none; the detail names templates that may have been meant.
create or replace function tasker.find_template(p_namespace text, p_name text, p_version text)
returns int
language plpgsql
stable
as $$
declare
  v_template_id int;
  v_versions text;
  v_others text;
begin
  select template_id into v_template_id
  from tasker.templates
  where namespace = p_namespace and name = p_name and (p_version is null or version = p_version)
  order by version_order desc
  limit 1;
  if v_template_id is not null then
    return v_template_id;
  end if;

  select string_agg(version, ', ' order by version_order) into v_versions
  from tasker.templates
  where namespace = p_namespace and name = p_name;
  if v_versions is null then
    select string_agg(other, ', ') into v_others
    from (
      select namespace || '/' || name as other
      from tasker.templates
      group by namespace, name
      order by namespace = p_namespace desc, name = p_name desc,
        abs(length(name) - length(p_name)), namespace, name
      limit 200
    ) t;
    raise exception using
      errcode = 'TK404',
      message = format('there is no template %s/%s', p_namespace, p_name),
      detail = coalesce('there are ' || v_others, 'there are no templates'),
      hint = 'apply it with `tasker template apply FILE`; `tasker template list` shows what there is';
  end if;
  raise exception using
    errcode = 'TK404',
    message = format('template %s/%s has no version %s', p_namespace, p_name, p_version),
    hint = format('its versions are %s', v_versions);
end
$$;
