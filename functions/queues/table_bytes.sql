-- The size of a table; null where another session keeps everybody from it. The first such table is
-- waited for as long as the call waits for locks, later ones for a moment.
create or replace function tasker.table_bytes(p_table regclass)
returns bigint
language plpgsql
as $$
begin
  return pg_relation_size(p_table);
exception when lock_not_available then
  perform set_config('lock_timeout', '1ms', true);
  return null;
end
$$;
