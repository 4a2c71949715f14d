-- Removes a process that leaves.
create or replace function tasker.deregister_process(p_registration_uuid uuid)
returns void
language plpgsql
as $$
begin
  perform set_config('synchronous_commit', 'off', true);
  delete from tasker.processes where registration_uuid = p_registration_uuid;
end
$$;
