-- Everything there is of a task as one JSON document, or was when it left for the archive; null for a
-- task that is in neither. See tasker.task_documents().
create or replace function tasker.export_task(p_task_uuid uuid)
returns jsonb
language plpgsql
stable
as $$
begin
  return coalesce(
    (select d.document from tasker.task_documents(array[p_task_uuid]) d),
    (select a.document from tasker.archived_tasks a where a.task_uuid = p_task_uuid)
  );
end
$$;
