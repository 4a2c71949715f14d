-- The latency that stands for all in a bucket: at most 2% from each of them.
create or replace function tasker.bucket_latency_ms(p_bucket int)
returns double precision
language sql
immutable parallel safe
as $$
  select 2 * power(1.04::double precision, p_bucket) / (1 + 1.04::double precision)
$$;
