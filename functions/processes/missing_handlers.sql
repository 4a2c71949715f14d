-- The handlers that steps in a queue wait for and that are not among those known, with how many steps
-- wait for each: at most p_limit handlers, and at most a thousand steps are counted of each.
--
-- Leaps from one handler to the next in the index of the queue, past a thousand at most, so that it
-- costs the same however many messages there are. Of each handler those messages are looked at that
-- workers come to last: what a worker holds does not wait. Raises undefined_object where that
-- index is missing, because each leap would read all messages.
create or replace function tasker.missing_handlers(p_queue_name text, p_known text[], p_limit int)
returns table (handler text, steps int)
language plpgsql
set enable_seqscan to off
set enable_bitmapscan to off
set enable_sort to off
set jit to off
as $$
begin
  if tasker.has_handler_index(p_queue_name) is not true then
    raise undefined_object using
      message = format('the queue %s is missing, or its index by handler is', p_queue_name);
  end if;
  return query execute format(
    'with recursive present as (
      (
        select (q.message ->> ''handler'') collate "C" as handler from pgmq.%1$I q
        where (q.message ->> ''handler'') collate "C" is not null
        order by (q.message ->> ''handler'') collate "C"
        limit 1
      )
      union all
      select (
        select (q.message ->> ''handler'') collate "C" from pgmq.%1$I q
        where (q.message ->> ''handler'') collate "C" > p.handler
        order by (q.message ->> ''handler'') collate "C"
        limit 1
      )
      from present p
      where p.handler is not null
    )
    select m.handler, w.steps
    from (select p.handler from present p where p.handler is not null limit 1000) m
    cross join lateral (
      select count(*)::int as steps
      from (
        select q.vt from pgmq.%1$I q
        where (q.message ->> ''handler'') collate "C" = m.handler
        order by (q.message ->> ''handler'') collate "C" desc, q.message -> ''priority'',
          q.msg_id desc
        limit 1000
      ) q
      where q.vt <= $2
    ) w
    where m.handler <> all($1) and w.steps > 0
    limit $3', 'q_' || p_queue_name
  ) using p_known, clock_timestamp(), p_limit;
end
$$;
