-- The statement that takes messages of a queue for a receipt. Parameters: the time, the handlers, how
-- many messages to look at, how many to take, the lease.
--
-- The most urgent come first, then the oldest; with p_aged those that have waited longest, of the 64
-- least urgent priorities. As pgmq.read() does it, last_read_at aside, which older versions lack. Rows
-- are chosen before they are locked, so that those which other receipts hold are passed over; so are
-- those whose step another transaction holds.
--
-- Both begin with a handler and its priorities: a planner that may read messages by their numbers
-- alone, as where the priority is said to be equal, reads those of all other handlers on the way.
create or replace function tasker.receipt_statement(p_queue_name text, p_aged boolean)
returns text
language plpgsql
immutable
as $$
begin
  return format(
    'with candidate as materialized (%2$s), first as materialized (
      select l.row_id
      from candidate c
      cross join lateral (
        select q.ctid as row_id, q.msg_id, q.message from pgmq.%1$I q
        where q.ctid = c.row_id and q.vt <= $1
        for update skip locked
      ) l
      left join lateral (
        select true as is_locked from tasker.steps s
        where s.task_uuid = (l.message ->> ''task_uuid'')::uuid
          and s.step_no = (l.message ->> ''step_no'')::int and s.msg_id = l.msg_id
        for no key update skip locked
      ) s on true
      where s.is_locked or not exists (
        select from tasker.steps s
        where s.task_uuid = (l.message ->> ''task_uuid'')::uuid
          and s.step_no = (l.message ->> ''step_no'')::int and s.msg_id = l.msg_id
      )
      limit $4
    ), read as (
      update pgmq.%1$I q set vt = $1 + $5, read_ct = q.read_ct + 1
      where q.ctid = any(array(select f.row_id from first f))
      returning q.msg_id, q.message
    )
    select array_agg(m.msg_id), array_agg((m.message ->> ''task_uuid'')::uuid),
      array_agg((m.message ->> ''step_no'')::int), (select count(*) from candidate)
    from (select * from read r order by r.message -> ''priority'' desc, r.msg_id) m',
    'q_' || p_queue_name,
    format(
      case when p_aged then
        'with recursive level as (
          select h.handler, (
            select q.message -> ''priority'' from pgmq.%1$I q
            where (q.message ->> ''handler'') collate "C" = h.handler
            order by q.message -> ''priority''
            limit 1
          ) as priority, 1 as levels
          from unnest($2) as h(handler)
          union all
          select l.handler, (
            select q.message -> ''priority'' from pgmq.%1$I q
            where (q.message ->> ''handler'') collate "C" = l.handler
              and q.message -> ''priority'' > l.priority
            order by q.message -> ''priority''
            limit 1
          ), l.levels + 1
          from level l
          where l.priority is not null and l.levels < 64
        )
        select o.row_id
        from level l
        cross join lateral (
          select q.ctid as row_id, q.msg_id from pgmq.%1$I q
          where (q.message ->> ''handler'') collate "C" = l.handler
            and q.message -> ''priority'' between l.priority and l.priority and q.vt <= $1
          order by q.message -> ''priority'' desc, q.msg_id
          limit $3
        ) o
        order by o.msg_id
        limit $3'
      else
        'select c.row_id
        from unnest($2) as h(handler)
        cross join lateral (
          select q.ctid as row_id, q.message -> ''priority'' as priority, q.msg_id
          from pgmq.%1$I q
          where (q.message ->> ''handler'') collate "C" = h.handler and q.vt <= $1
          order by q.message -> ''priority'' desc, q.msg_id
          limit $3
        ) c
        order by c.priority desc, c.msg_id
        limit $3'
      end, 'q_' || p_queue_name
    )
  );
end
$$;
