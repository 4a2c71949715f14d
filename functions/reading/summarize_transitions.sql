-- Brings the indexes by ranges of the logs of moves up to date. Rows that they do not know yet are
-- found by reading all of those, and autovacuum tells them only now and then. Does nothing where
-- another session is at it, or where the caller may not.
create or replace function tasker.summarize_transitions()
returns void
language plpgsql
as $$
declare
  v_index regclass;
begin
  perform set_config('lock_timeout', '100ms', true);
  for v_index in
    select i.indexrelid
    from pg_index i
    join pg_class c on c.oid = i.indexrelid
    join pg_am a on a.oid = c.relam
    where a.amname = 'brin'
      and i.indrelid in ('tasker.task_transitions'::regclass, 'tasker.step_log'::regclass)
  loop
    perform brin_summarize_new_values(v_index);
  end loop;
exception
  when insufficient_privilege or lock_not_available then
    null;
end
$$;
