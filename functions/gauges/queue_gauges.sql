-- What lies in a queue: how many messages, received ones included, up to p_most; of these, which are the
-- oldest, how many a worker could receive now, how long the first of them has been in the queue, and
-- how many have been received before and could be received again for longer than p_overdue_ms: their
-- lease ran out, or they were given back. All null where the queue is missing, damaged or locked.
--
-- Reads in the order of the primary key, which passes over the rows that died at its front.
create or replace function tasker.queue_gauges(
  p_queue_name text, p_overdue_ms bigint, p_most int,
  out depth int, out waiting int, out overdue int, out oldest_seconds double precision
)
language plpgsql
set enable_seqscan to off
set enable_bitmapscan to off
set enable_sort to off
set jit to off
as $$
begin
  execute format(
    'select count(*), count(*) filter (where q.vt <= $1),
      count(*) filter (where q.vt <= $1 - $2 * interval ''1 ms'' and q.read_ct > 0),
      coalesce(extract(epoch from $1 - min(q.enqueued_at) filter (where q.vt <= $1)), 0)
    from (
      select vt, read_ct, enqueued_at from pgmq.%I order by msg_id limit $3
    ) q', 'q_' || p_queue_name
  ) into depth, waiting, overdue, oldest_seconds using clock_timestamp(), p_overdue_ms, p_most;
exception
  when lock_not_available then
    -- However many are locked, the call waits for one.
    perform set_config('lock_timeout', '1ms', true);
  when others then
    null;
end
$$;
