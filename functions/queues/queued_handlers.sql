-- The handlers that messages of a queue name. Reads one message of each, however many there are: it
-- leaps from one to the next in the index.
create or replace function tasker.queued_handlers(p_queue_name text)
returns text[]
language plpgsql
set enable_seqscan to off
set enable_sort to off
as $$
declare
  v_handlers text[];
begin
  execute format(
    'with recursive present as (
      (
        select (q.message ->> ''handler'') collate "C" as handler from pgmq.%1$I q
        where (q.message ->> ''handler'') collate "C" > ''''
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
    select array_agg(p.handler) filter (where p.handler is not null) from present p',
    'q_' || p_queue_name
  ) into v_handlers;
  return coalesce(v_handlers, '{}');
end
$$;
