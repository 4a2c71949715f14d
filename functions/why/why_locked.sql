-- That another transaction holds one of these, and has for a second at least: rows, by what their xmax
-- says, or tables, in a mode that keeps others from writing; null where none does. Of several the oldest
-- is named. A row that several transactions have locked is not found. What sessions of other users do
-- only some accounts may see.
create or replace function tasker.why_locked(p_rows xid[], p_tables regclass[])
returns jsonb
language plpgsql
as $$
declare
  v_now timestamptz := clock_timestamp();
begin
  if p_tables = '{}' and '0' = all(p_rows) then
    return null;
  end if;
  return (
    select jsonb_build_object(
      'cause', 'locked',
      'detail', case when l.pid is null then 'the prepared transaction ' || quote_literal(x.gid)
          else format('session %s', l.pid) end
        || coalesce(' of ' || a.usename, '')
        || coalesce(
          ' (' || nullif(concat_ws(', ', nullif(a.application_name, ''), a.state), '') || ')', ''
        )
        || ' holds '
        || case when l.relation is not null then format('the table %s', l.relation::regclass)
          else 'its row' end
        || coalesce(' for ' || tasker.in_words(v_now - h.since), ''),
      'action', case when l.pid is null
        then format('end that transaction: commit prepared %1$L, or rollback prepared %1$L', x.gid)
        else format('wait until that transaction ends, or end it: select pg_terminate_backend(%s)',
          l.pid)
      end,
      'evidence', jsonb_build_object(
        'pid', l.pid, 'user', a.usename, 'application', nullif(a.application_name, ''),
        'state', a.state, 'prepared_transaction', x.gid, 'since', h.since,
        'table', l.relation::regclass::text
      )
    )
    from pg_locks l
    left join pg_stat_activity a on a.pid = l.pid
    -- A prepared transaction has no session; that it holds its own number tells which one it is.
    left join pg_prepared_xacts x on l.pid is null and exists (
      select from pg_locks own
      where own.pid is null and own.virtualtransaction = l.virtualtransaction
        and own.locktype = 'transactionid' and own.transactionid = x.transaction
    )
    cross join lateral (select coalesce(a.xact_start, x.prepared) as since) h
    where l.granted and l.pid is distinct from pg_backend_pid()
      and (
        l.locktype = 'transactionid' and l.transactionid = any(p_rows)
        or l.locktype = 'relation' and l.relation = any(p_tables::oid[])
          and l.database = (select d.oid from pg_database d where d.datname = current_database())
          and l.mode in (
            'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'
          )
      )
      and coalesce(h.since <= v_now - interval '1 s', true)
    order by h.since, l.pid
    limit 1
  );
end
$$;
