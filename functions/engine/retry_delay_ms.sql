-- How long to wait before the attempt after p_attempt, in milliseconds: base for `fixed`,
-- base × attempt for `linear`, base × 2^(attempt − 1) for `exponential`, at most max; with jitter,
-- between half of that and all of it.
create or replace function tasker.retry_delay_ms(
  p_backoff text, p_base_ms bigint, p_max_ms bigint, p_jitter boolean, p_attempt int
)
returns bigint
language sql
volatile
as $$
  select round(least(
    p_max_ms,
    p_base_ms * case p_backoff
      when 'fixed' then 1
      when 'linear' then p_attempt
      else 2.0 ^ least(p_attempt - 1, 40)
    end
  ) * case when p_jitter then 0.5 + random() / 2 else 1 end)::bigint
$$;
