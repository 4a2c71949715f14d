-- Announces namespaces that are gone, so that workers listen no longer for their queues.
create or replace function tasker.notify_namespace_removed()
returns trigger
language plpgsql
as $$
begin
  perform pg_notify(
    tasker.channel('namespace_removed'), jsonb_build_object('namespace', namespace)::text
  )
  from old_rows;
  return null;
end
$$;

create or replace trigger notify_namespace_removed
after delete on tasker.namespaces
referencing old table as old_rows
for each statement execute function tasker.notify_namespace_removed();
