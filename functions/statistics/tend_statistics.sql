-- Makes the partitions of today and tomorrow, and brings what is older than p_retention_days closer to
-- its end: reads up to p_pages pages of the oldest such partition into statistics_buckets, and drops it
-- after its last page. Answers whether there is more to do at once.
--
-- One session at a time does that; the others have nothing to do. What was read is in the same
-- transaction as the mark that it was, so that nothing counts twice. A partition that a session
-- reads is dropped by a later call.
create or replace function tasker.tend_statistics(p_retention_days int, p_pages bigint default 4096)
returns boolean
language plpgsql
set lock_timeout to '100ms'
as $$
declare
  v_today date := (tasker.now() at time zone 'utc')::date;
  v_day date;
  v_partition regclass;
  v_first bigint;
  v_end bigint;
begin
  if not pg_try_advisory_xact_lock(hashtext('tasker.tend_statistics')) then
    return false;
  end if;
  perform tasker.add_statistics_partition(v_today);
  perform tasker.add_statistics_partition(v_today + 1);

  select min(to_date(right(c.relname, 8), 'YYYYMMDD')) into v_day
  from pg_catalog.pg_inherits i
  join pg_catalog.pg_class c on c.oid = i.inhrelid
  where i.inhparent = 'tasker.statistics_samples'::regclass;
  if v_day is null or v_day >= v_today - p_retention_days then
    return false;
  end if;
  v_partition := to_regclass('tasker.' || tasker.statistics_partition(v_day));

  insert into tasker.statistics_rollups values (v_day, 0) on conflict do nothing;
  select next_page into v_first from tasker.statistics_rollups where day = v_day;
  v_end := v_first + p_pages;
  execute format(
    'insert into tasker.statistics_buckets as b
      (day, template_id, event, priority_class, bucket, samples, count, failures, max_ms)
    select $1, template_id, event, priority_class, tasker.latency_bucket(latency_ms), count(*),
      sum(weight), coalesce(sum(weight) filter (where failed), 0), max(latency_ms)
    from %s
    where ctid >= $2 and ctid < $3
    group by 2, 3, 4, 5
    on conflict (day, template_id, event, priority_class, bucket) do update
    set samples = b.samples + excluded.samples, count = b.count + excluded.count,
      failures = b.failures + excluded.failures, max_ms = greatest(b.max_ms, excluded.max_ms)',
    v_partition
  ) using v_day, format('(%s,0)', v_first)::tid, format('(%s,0)', v_end)::tid;
  update tasker.statistics_rollups set next_page = v_end where day = v_day;

  if v_end * current_setting('block_size')::bigint < pg_relation_size(v_partition) then
    return true;
  end if;
  begin
    execute format('drop table %s', v_partition);
    delete from tasker.statistics_rollups where day = v_day;
    return true;
  exception when lock_not_available then
    return false;
  end;
end
$$;
