-- Notes that a registered process lives, and how many of its places are taken. False where nothing is
-- known about it: it was silent for so long that it was removed, and has to register.
create or replace function tasker.process_seen(p_registration_uuid uuid, p_places int, p_taken int)
returns boolean
language plpgsql
as $$
declare
  v_known boolean;
begin
  perform set_config('synchronous_commit', 'off', true);
  update tasker.processes
  set places = p_places, taken = p_taken, last_seen_at = clock_timestamp()
  where registration_uuid = p_registration_uuid;
  v_known := found;
  perform tasker.forget_processes();
  return v_known;
end
$$;
