-- Whether a worker of this name has been seen of late. A name that nobody registered under is that of
-- a process which is gone.
create or replace function tasker.process_is_alive(p_identity text)
returns boolean
language plpgsql
stable
as $$
begin
  return exists (
    select from tasker.processes p
    where p.identity = p_identity and p.role = 'worker' and tasker.is_live(p.last_seen_at)
  );
end
$$;
