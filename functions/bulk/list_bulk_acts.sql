-- The latest acts, at most p_limit.
create or replace function tasker.list_bulk_acts(p_limit int default 50)
returns setof jsonb
language sql
stable
as $$
  select tasker.bulk_act(b.bulk_uuid) from tasker.bulk_acts b order by b.bulk_uuid desc limit p_limit
$$;
