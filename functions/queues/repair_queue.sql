-- Makes the queue of a namespace again, or what is missing of it, and the messages that it lacks.
-- Answers how many it made.
create or replace function tasker.repair_queue(p_namespace text)
returns int
language plpgsql
as $$
begin
  perform tasker.create_queue(queue_name) from tasker.namespaces where namespace = p_namespace;
  perform tasker.pass_used_numbers(p_namespace);
  return tasker.refill_queue(p_namespace, 30000);
end
$$;
