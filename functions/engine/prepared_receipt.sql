-- Prepares the statement of a receipt in this session, where it is not yet, and answers its name. To
-- plan it costs several times what its execution does. For few queues: a session keeps each plan.
create or replace function tasker.prepared_receipt(p_queue_name text, p_aged boolean)
returns text
language plpgsql
as $$
declare
  v_name text;
  v_is_prepared boolean;
begin
  -- Another version of the statement has another name: a session outlives upgrades.
  select 'receipt_' || left(p_aged::text, 1) || f.xmin || '_' || p_queue_name,
    exists (
      select from pg_prepared_statements s
      where s.name = 'receipt_' || left(p_aged::text, 1) || f.xmin || '_' || p_queue_name
    )
  into v_name, v_is_prepared
  from pg_proc f
  where f.proname = 'receipt_statement' and f.pronamespace = to_regnamespace('tasker');
  if not v_is_prepared then
    execute format(
      'prepare %I (timestamptz, text[], int, int, interval) as %s',
      v_name, tasker.receipt_statement(p_queue_name, p_aged)
    );
  end if;
  return v_name;
end
$$;
