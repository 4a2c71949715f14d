-- Where the logs of moves end, and which numbers in them may still come.
--
-- A missing number was drawn by a transaction that had its id by then: everything that logs a move
-- has locked a row before. With p_mark the call draws an id itself, as mark; when a later call finds
-- that oldest_xid is above it, none of those transactions runs any more, and what they drew and is
-- still not to be seen will never be.
--
-- A crash of the server may take back moves that were seen already, and give their numbers to others.
-- server_started_at grows with it: where the server itself was not restarted, because only one of
-- its processes was killed, as soon as the queues were looked after.
create or replace function tasker.transition_marks(p_mark boolean)
returns table (
  last_task_no bigint, last_step_no bigint, oldest_xid bigint, mark bigint, read_at timestamptz,
  server_started_at timestamptz
)
language sql
as $$
  select coalesce(pg_sequence_last_value('tasker.task_transitions_transition_no_seq'), 0),
    coalesce(pg_sequence_last_value('tasker.step_log_transition_no_seq'), 0),
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
    case when p_mark then pg_current_xact_id()::text::bigint end,
    clock_timestamp(),
    greatest(pg_postmaster_start_time(), (select max(q.since) from tasker.queues_intact q))
$$;
