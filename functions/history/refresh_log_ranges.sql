-- Has the indexes of both logs describe p_part of their ranges of pages again, as they are. A summary
-- of a range only ever grows: pages that were emptied and filled again would be taken to hold what was
-- in them before, and after some generations the logs could only be read whole. Goes round and
-- round; does nothing while another session does it, or where the caller may not.
create or replace function tasker.refresh_log_ranges(p_part double precision)
returns void
language plpgsql
as $$
declare
  v_log text;
  v_index record;
  v_page bigint;
  v_pages bigint;
begin
  -- Vacuum has the lock that this takes: the next round is soon enough.
  perform set_config('lock_timeout', '10ms', true);
  foreach v_log in array array['task_transitions', 'step_log'] loop
    for v_index in
      select i.indexrelid::regclass as name, coalesce((
          select split_part(o, '=', 2)::bigint from unnest(c.reloptions) o
          where o like 'pages_per_range=%'
        ), 128) as pages_per_range
      from pg_index i
      join pg_class c on c.oid = i.indexrelid
      join pg_am a on a.oid = c.relam
      where a.amname = 'brin' and i.indrelid = ('tasker.' || v_log)::regclass
    loop
      insert into tasker.log_ranges values (v_log, 0) on conflict do nothing;
      select r.next_page into v_page from tasker.log_ranges r where r.log = v_log
      for update skip locked;
      continue when not found;
      v_pages := pg_relation_size('tasker.' || v_log)
        / current_setting('block_size')::bigint;
      for v_range in 1..ceil(p_part * v_pages / v_index.pages_per_range)::int loop
        -- The last range is not full yet, and has no summary.
        if v_page + v_index.pages_per_range > v_pages then
          v_page := 0;
          exit;
        end if;
        perform brin_desummarize_range(v_index.name, v_page);
        perform brin_summarize_range(v_index.name, v_page);
        v_page := v_page + v_index.pages_per_range;
      end loop;
      update tasker.log_ranges set next_page = v_page where log = v_log;
    end loop;
  end loop;
exception
  when insufficient_privilege or lock_not_available then
    null;
end
$$;
