-- Sampled events by minute, from p_since on, each with how many events the samples stand for, how many
-- of those failed, and percentiles with an error of 2%.
--
-- Samples of a day lie in the order of their time. So the first page is found by halving, and of those
-- that follow p_pages are read at most, evenly spread; each then stands for those between.
create or replace function tasker.statistics_by_minute(p_since timestamptz, p_pages int)
returns table (
  minute timestamptz, event text, count double precision, failures double precision,
  p50_ms double precision, p95_ms double precision
)
language plpgsql
stable
set jit to off
as $$
#variable_conflict use_column
declare
  v_day date;
  v_partition text;
  v_pages bigint;
  v_first bigint;
  v_behind bigint;
  v_middle bigint;
  v_at timestamptz;
  v_step bigint;
begin
  for v_day in
    select d::date from generate_series(
      (p_since at time zone 'utc')::date, (tasker.now() at time zone 'utc')::date, interval '1 day'
    ) d
    limit 7
  loop
    v_partition := 'tasker.' || tasker.statistics_partition(v_day);
    continue when to_regclass(v_partition) is null;
    v_pages := pg_relation_size(v_partition) / current_setting('block_size')::bigint;
    v_first := 0;
    v_behind := v_pages;
    while v_first < v_behind loop
      v_middle := (v_first + v_behind) / 2;
      execute format('select at from %s where ctid >= $1 and ctid < $2 limit 1', v_partition)
      into v_at
      using format('(%s,0)', v_middle)::tid, format('(%s,0)', v_middle + 1)::tid;
      -- A page of which nothing can be seen may be of any time.
      if v_at < p_since then
        v_first := v_middle + 1;
      else
        v_behind := v_middle;
      end if;
    end loop;
    -- The page before begins earlier, and may end in time.
    v_first := greatest(v_first - 1, 0);
    v_step := greatest(ceil((v_pages - v_first)::numeric / p_pages), 1);
    return query execute format(
      'with latency as (
        select date_trunc(''minute'', s.at) as minute, s.event,
          tasker.latency_bucket(s.latency_ms) as bucket, sum(s.weight) as count,
          coalesce(sum(s.weight) filter (where s.failed), 0) as failures
        from generate_series($1, $2 - 1, $3) as p(page)
        cross join lateral (
          select * from %s s
          where s.ctid = any(array(
            select (''('' || p.page || '','' || i || '')'')::tid
            from generate_series(1, current_setting(''block_size'')::int / 60) i
          )) and s.at >= $4
          offset 0
        ) s
        group by 1, 2, 3
      ), ranked as (
        select l.*, sum(l.count) over (partition by l.minute, l.event order by l.bucket)
            as until_here,
          sum(l.count) over (partition by l.minute, l.event) as whole
        from latency l
      )
      select r.minute, r.event::text, $3 * sum(r.count)::double precision,
        $3 * sum(r.failures)::double precision,
        tasker.bucket_latency_ms(min(r.bucket) filter (where r.until_here >= 0.5 * r.whole)),
        tasker.bucket_latency_ms(min(r.bucket) filter (where r.until_here >= 0.95 * r.whole))
      from ranked r
      group by r.minute, r.event', v_partition
    ) using v_first, v_pages, v_step, p_since;
  end loop;
end
$$;
