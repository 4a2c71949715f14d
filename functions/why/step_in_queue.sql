-- The message of a step in its queue, and how many messages of the same handler that could be received
-- now come before it, a hundred at most; no message where it is not there.
create or replace function tasker.step_in_queue(
  p_queue_name text, p_msg_id bigint,
  out msg_id bigint, out vt timestamptz, out locked_by xid, out ahead int
)
language plpgsql
stable
set enable_seqscan to off
set enable_bitmapscan to off
set jit to off
as $$
begin
  execute format(
    'select m.msg_id, m.vt, m.xmax, (
      select count(*) from (
        (
          select from pgmq.%1$I q
          where (q.message ->> ''handler'') collate "C" = m.message ->> ''handler''
            and q.message -> ''priority'' > m.message -> ''priority''
            and q.vt <= $2
          limit 100
        )
        union all
        (
          select from pgmq.%1$I q
          where (q.message ->> ''handler'') collate "C" = m.message ->> ''handler''
            and q.message -> ''priority'' = m.message -> ''priority'' and q.msg_id < m.msg_id
            and q.vt <= $2
          limit 100
        )
        limit 100
      ) a
    )
    from pgmq.%1$I m
    where m.msg_id = $1', 'q_' || p_queue_name
  ) into msg_id, vt, locked_by, ahead using p_msg_id, clock_timestamp();
end
$$;
