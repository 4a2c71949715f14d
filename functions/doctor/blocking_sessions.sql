-- Sessions that have held tasks for longer than p_age_ms: claims and reports pass over what they hold
-- and come back for it until they end. Sessions of other users are named too, but not what they run.
create or replace function tasker.blocking_sessions(p_age_ms bigint default 1000)
returns table (
  pid int, user_name text, application text, state text, held_seconds double precision, tasks bigint,
  task_uuid uuid
)
language plpgsql
as $$
#variable_conflict use_column
begin
  return query
  select a.pid, a.usename::text, a.application_name, a.state,
    extract(epoch from clock_timestamp() - a.xact_start)::double precision,
    count(*), min(t.task_uuid::text)::uuid
  from pg_stat_activity a
  join tasker.tasks t on t.xmax = a.backend_xid
  where a.datname = current_database() and a.pid <> pg_backend_pid() and t.listed_as <> 'complete'
    and coalesce(a.xact_start < clock_timestamp() - p_age_ms * interval '1 ms', true)
  group by a.pid, a.usename, a.application_name, a.state, a.xact_start
  order by a.xact_start, a.pid;
end
$$;
