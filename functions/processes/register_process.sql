-- Writes what a process is in one of its roles; repeated, it overwrites. p_running_for_ms is the time
-- since its start, so that its own clock does not matter. Not durable: the next call writes it again.
create or replace function tasker.register_process(
  p_registration_uuid uuid, p_identity text, p_role text, p_host text, p_pid int, p_version text,
  p_mode text, p_namespaces text[], p_handlers text[], p_places int, p_taken int,
  p_running_for_ms bigint
)
returns void
language plpgsql
as $$
begin
  perform set_config('synchronous_commit', 'off', true);
  delete from tasker.processes where registration_uuid = p_registration_uuid;
  insert into tasker.processes (
    registration_uuid, identity, role, host, pid, version, mode, namespaces, handlers, places,
    taken, started_at, last_seen_at
  ) values (
    p_registration_uuid, p_identity, p_role, p_host, p_pid, p_version, p_mode, p_namespaces,
    p_handlers, p_places, p_taken, clock_timestamp() - p_running_for_ms * interval '1 ms',
    clock_timestamp()
  );
  perform tasker.forget_processes();
end
$$;
