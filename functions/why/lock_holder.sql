-- The transaction that has been holding one of these for the longest, if any has for a second: rows, by
-- what their xmax says, or tables, in a mode in which nobody else writes. A transaction of several
-- lockers of one row is not found. What other users' sessions do only some accounts may see.
create or replace function tasker.lock_holder(p_rows xid[], p_tables regclass[])
returns jsonb
language plpgsql
as $$
declare
  v_now timestamptz := clock_timestamp();
begin
  return (
    select jsonb_build_object(
      'pid', l.pid, 'user', a.usename, 'application', nullif(a.application_name, ''),
      'state', a.state, 'prepared_transaction', x.gid,
      'since', coalesce(a.xact_start, x.prepared),
      'holds', case when l.relation is not null then l.relation::regclass::text else 'a row' end,
      'action', case when l.pid is null
        then format('end that transaction: commit prepared %1$L, or rollback prepared %1$L', x.gid)
        else format('wait until that transaction ends, or end it: select pg_terminate_backend(%s)',
          l.pid)
      end,
      'words', format(
        '%s%s%s holds %s%s',
        case when l.pid is null then format('the prepared transaction %s', quote_ident(x.gid))
          else format('session %s', l.pid) end,
        coalesce(' of ' || a.usename, ''),
        coalesce(format(' (%s)', nullif(concat_ws(
          ', ', nullif(a.application_name, ''), a.state
        ), '')), ''),
        case when l.relation is not null then format('the table %s', l.relation::regclass)
          else 'its row' end,
        coalesce(' for ' || tasker.in_words(v_now - coalesce(a.xact_start, x.prepared)), '')
      )
    )
    from pg_locks l
    left join pg_stat_activity a on a.pid = l.pid
    left join pg_prepared_xacts x
      on l.pid is null and l.virtualtransaction = '-1/' || x.transaction::text
    where l.granted and l.pid is distinct from pg_backend_pid()
      and (
        l.locktype = 'transactionid' and l.transactionid = any(p_rows)
        or l.locktype = 'relation' and l.relation = any(p_tables::oid[])
          and l.database = (select d.oid from pg_database d where d.datname = current_database())
          and l.mode in (
            'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'
          )
      )
      and coalesce(
        coalesce(a.xact_start, x.prepared) <= v_now - interval '1 s', l.locktype = 'transactionid'
      )
    order by coalesce(a.xact_start, x.prepared), l.pid
    limit 1
  );
end
$$;
