-- The identity of a version of a template; of the highest version where p_version is null.
-- Raises TK404 when there is none.
create function tasker.find_template(p_namespace text, p_name text, p_version text)
returns int
language plpgsql
stable
as $$
declare
  v_template_id int;
  v_versions text;
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
    raise exception using
      errcode = 'TK404',
      message = format('there is no template %s/%s', p_namespace, p_name),
      hint = 'apply it with `tasker template apply FILE`; `tasker template list` shows what there is';
  end if;
  raise exception using
    errcode = 'TK404',
    message = format('template %s/%s has no version %s', p_namespace, p_name, p_version),
    hint = format('its versions are %s', v_versions);
end
$$;
