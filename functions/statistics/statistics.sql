-- Latencies of sampled events from p_since on and before p_until, each group with how many events it
-- stands for, how many of those failed, and percentiles with an error of 2%. Days whose samples are
-- gone count whole, and know no steps. p_by says what is distinguished beside the event: `event` nothing
-- else, `template`, `step` or `day`. p_template is namespace/name, of any version.
create or replace function tasker.statistics(
  p_since timestamptz, p_until timestamptz default null, p_namespaces text[] default null,
  p_template text default null, p_by text default 'event'
)
returns table (
  event text, template text, step text, day date, samples bigint, count double precision,
  failures double precision, p50_ms double precision, p95_ms double precision,
  p99_ms double precision, max_ms double precision
)
language plpgsql
stable
set jit to off
as $$
#variable_conflict use_column
declare
  v_until timestamptz := coalesce(p_until, 'infinity');
  v_templates int[] := array(
    select t.template_id from tasker.templates t
    where (p_namespaces is null or t.namespace = any(p_namespaces))
      and (p_template is null or t.namespace || '/' || t.name = p_template)
  );
begin
  return query
  with latency as (
    select s.event, s.template_id, case when p_by = 'step' then s.step_no end as step_no,
      (s.at at time zone 'utc')::date as day, tasker.latency_bucket(s.latency_ms) as bucket,
      count(*) as samples, sum(s.weight) as count,
      coalesce(sum(s.weight) filter (where s.failed), 0) as failures, max(s.latency_ms) as max_ms
    from tasker.statistics_samples s
    where s.at >= p_since and s.at < v_until and s.template_id = any(v_templates)
      -- What is in the buckets already is about to be dropped.
      and not exists (
        select from tasker.statistics_rollups r
        where r.day = (s.at at time zone 'utc')::date
          and s.ctid < format('(%s,0)', r.next_page)::tid
      )
    group by 1, 2, 3, 4, 5
    union all
    select b.event, b.template_id, null, b.day, b.bucket, b.samples, b.count, b.failures, b.max_ms
    from tasker.statistics_buckets b
    where b.day >= (p_since at time zone 'utc')::date and b.day < v_until
      and b.template_id = any(v_templates)
  ), grouped as (
    select l.event,
      case when p_by in ('template', 'step') then t.namespace || '/' || t.name end as template,
      ts.name as step, case when p_by = 'day' then l.day end as day, l.bucket,
      sum(l.samples) as samples, sum(l.count) as count, sum(l.failures) as failures,
      max(l.max_ms) as max_ms
    from latency l
    join tasker.templates t on t.template_id = l.template_id
    left join tasker.template_steps ts
      on ts.template_id = l.template_id and ts.step_no = l.step_no
    group by 1, 2, 3, 4, 5
  ), ranked as (
    select g.*, sum(g.count) over w as until_here, sum(g.count) over (partition by
      g.event, g.template, g.step, g.day) as whole
    from grouped g
    window w as (partition by g.event, g.template, g.step, g.day order by g.bucket)
  )
  select r.event::text, r.template, r.step, r.day, sum(r.samples)::bigint, sum(r.count),
    sum(r.failures),
    least(
      tasker.bucket_latency_ms(min(r.bucket) filter (where r.until_here >= 0.5 * r.whole)),
      max(r.max_ms)
    ),
    least(
      tasker.bucket_latency_ms(min(r.bucket) filter (where r.until_here >= 0.95 * r.whole)),
      max(r.max_ms)
    ),
    least(
      tasker.bucket_latency_ms(min(r.bucket) filter (where r.until_here >= 0.99 * r.whole)),
      max(r.max_ms)
    ),
    max(r.max_ms)::double precision
  from ranked r
  group by r.event, r.template, r.step, r.day
  order by r.day, r.template, r.step, r.event;
end
$$;
