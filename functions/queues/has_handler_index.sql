-- Whether a queue has the index by handler; null where there is no queue. Not by its name, which a
-- table may have that was renamed.
create or replace function tasker.has_handler_index(p_queue_name text)
returns boolean
language plpgsql
stable
as $$
declare
  v_table regclass := to_regclass(format('pgmq.%I', 'q_' || p_queue_name));
begin
  return case when v_table is not null then exists (
    select from pg_index i where i.indrelid = v_table and i.indexprs is not null
  ) end;
end
$$;
