-- Announces that tasks of a namespace entered a state, on the global channel and the namespace's, up
-- to 100 in a payload. Nothing in it needs to be escaped: namespaces and states are plain words.
create or replace function tasker.announce_task_state(
  p_namespace text, p_state tasker.task_state, p_task_uuids uuid[]
)
returns void
language plpgsql
as $$
declare
  c_tasks_of_a_payload constant int := 100;
  v_count int := cardinality(p_task_uuids);
  v_payload text;
begin
  for v_first in 1..v_count by c_tasks_of_a_payload loop
    v_payload := '{"task_state":"' || p_state || '","namespace":"' || p_namespace
      || case when v_count = 1 then '","task_uuid":"' || p_task_uuids[1] else '' end
      || '","task_uuids":["'
      || array_to_string(p_task_uuids[v_first : v_first + c_tasks_of_a_payload - 1], '","')
      || '"]}';
    perform pg_notify(tasker.channel('task_state'), v_payload),
      pg_notify(tasker.channel('task_state', p_namespace), v_payload);
  end loop;
end
$$;
