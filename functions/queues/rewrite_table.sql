-- Rewrites a table without its dead rows, whatever snapshots there are. Answers whether it did: not
-- where another session keeps a lock on the table for more than 50 ms, or another role owns it.
--
-- It is empty for older snapshots afterwards, as after any truncate. To compare it with other
-- tables in one snapshot, lock it before, as tasker.doctor() and pg_dump do.
create or replace function tasker.rewrite_table(p_table regclass)
returns boolean
language plpgsql
set lock_timeout to '50ms'
as $$
declare
  v_announce text := tasker.suppress_notify();
  v_rows jsonb;
begin
  begin
    execute format('lock table %s in access exclusive mode', p_table);
    execute format('select jsonb_agg(to_jsonb(r)) from %s r', p_table) into v_rows;
    execute format('truncate %s', p_table);
    execute format(
      'insert into %1$s overriding system value
      select * from jsonb_populate_recordset(null::%1$s, $1)', p_table
    ) using v_rows;
    perform set_config('tasker.announce', v_announce, true);
    return true;
  exception when lock_not_available or insufficient_privilege then
    perform set_config('tasker.announce', v_announce, true);
    return false;
  end;
end
$$;
