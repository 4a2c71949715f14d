-- What a batch of moved steps brought about: which positions of the input (from 1) were stale, and
-- what the caller has to announce once it has committed.
create type tasker.moved as (
  stale int[],
  ready_tasks uuid[],
  finished_tasks uuid[],
  cancelled_tasks uuid[],
  woken_queues text[],
  timer_set boolean
);

-- Sends notifications, one for each channel and payload.
create function tasker.announce(p_channels text[], p_payloads text[])
returns void
language plpgsql
as $$
begin
  -- A lost wake-up costs a polling interval, a durable commit would cost more.
  perform set_config('synchronous_commit', 'off', true);
  perform pg_notify(channel, payload) from unnest(p_channels, p_payloads) as n(channel, payload);
end
$$;
