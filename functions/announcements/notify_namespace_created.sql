-- Announces new namespaces, so that orchestrators and workers that serve all of them follow.
create or replace function tasker.notify_namespace_created()
returns trigger
language plpgsql
as $$
begin
  perform pg_notify(
    tasker.channel('namespace_created'), jsonb_build_object('namespace', namespace)::text
  )
  from new_rows;
  return null;
end
$$;

create or replace trigger notify_namespace_created
after insert on tasker.namespaces
referencing new table as new_rows
for each statement execute function tasker.notify_namespace_created();
