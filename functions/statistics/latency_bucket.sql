-- The bucket of a latency. A bucket reaches from 1.04^(n-1) to 1.04^n milliseconds, so that whatever is
-- in it is known with an error of 2% (DDSketch: Masson, Rim, Lee, VLDB 2019, section 2). What is below
-- a microsecond counts as that.
create or replace function tasker.latency_bucket(p_latency_ms double precision)
returns int
language sql
immutable parallel safe
as $$
  select ceil(ln(greatest(p_latency_ms, 0.001)) / ln(1.04::double precision))::int
$$;
