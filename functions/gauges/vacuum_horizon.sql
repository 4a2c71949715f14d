-- What keeps vacuum from dead rows of this database: for how long the oldest transaction has been open
-- that does, prepared ones included, and how many transactions began since the oldest that any
-- session still sees, which counts replication slots and standbys too. Both 0 where nothing does.
--
-- Of the sessions of other users only those are seen that a role may see, all with pg_read_all_stats.
create or replace function tasker.vacuum_horizon(
  out held_back_seconds double precision, out held_back_transactions bigint
)
language sql
as $$
  with holder as (
    select a.xact_start as since, x.xid
    from pg_stat_activity a, unnest(array[a.backend_xmin, a.backend_xid]) as x(xid)
    -- A standby that sends feedback has no database. What vacuum itself sees holds back nothing.
    where (a.datname is null or a.datname = current_database())
      and a.pid <> pg_backend_pid() and a.backend_type <> 'autovacuum worker'
      and x.xid is not null
    union all
    select null, x.xid
    from pg_replication_slots s, unnest(array[s.xmin, s.catalog_xmin]) as x(xid)
    where x.xid is not null
    union all
    select p.prepared, p.transaction
    from pg_prepared_xacts p
    where p.database = current_database()
  )
  select
    greatest(coalesce(extract(epoch from clock_timestamp() - min(h.since)), 0), 0)::double precision,
    coalesce(max(age(h.xid)), 0)::bigint
  from holder h
$$;
