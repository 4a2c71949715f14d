-- Prepares the same statement in this session, where it is not yet, and answers its name. To plan it
-- costs several times what its execution does. For few queues: a session keeps each plan.
create or replace function tasker.prepared_receipt(p_queue_name text, p_aged boolean)
returns text
language plpgsql
as $$
declare
  v_statement text := tasker.receipt_statement(p_queue_name, p_aged);
  -- By its content: another version of this schema has another statement.
  v_name text := 'receipt_' || hashtextextended(v_statement, 0);
begin
  if not exists (select from pg_prepared_statements where name = v_name) then
    execute format(
      'prepare %I (timestamptz, text[], int, int, interval) as %s', v_name, v_statement
    );
  end if;
  return v_name;
end
$$;
