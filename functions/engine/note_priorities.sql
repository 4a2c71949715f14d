-- Notes the priorities that steps are enqueued with: where there is only one, nobody need ask whether
-- something more urgent waits. Mostly there is one, and it is known.
create or replace function tasker.note_priorities(p_priorities int[])
returns void
language plpgsql
as $$
begin
  if p_priorities[1] <> any (p_priorities)
    or not exists (select from tasker.priorities_in_use u where u.priority = p_priorities[1]) then
    insert into tasker.priorities_in_use
    select distinct p.priority from unnest(p_priorities) as p(priority)
    where not exists (select from tasker.priorities_in_use u where u.priority = p.priority);
  end if;
end
$$;
