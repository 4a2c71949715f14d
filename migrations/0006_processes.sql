-- The roles that processes play, one row for each; `tasker dev` plays two. Processes write it, people
-- and metrics read it: a row may come late, be missing, or outlive its process, so nothing is decided
-- from it.
--
-- Times are the server's and not tasker.now(): whether a process lives has nothing to do with the
-- time that the engine acts by.
create table tasker.processes (
  -- Made at each start, so that two processes of one name are two rows, and one that leaves takes
  -- none but its own away.
  registration_uuid uuid primary key,
  started_at timestamptz not null,
  last_seen_at timestamptz not null,
  pid int not null,
  -- How many handlers a worker runs at most, 0 while it drains; and how many it runs.
  places int,
  taken int,
  identity text not null,
  role text not null,
  host text not null,
  version text not null,
  mode text not null,
  -- Those it serves; none are named where it serves all.
  namespaces text[] not null,
  handlers text[] not null,

  constraint a_role_is_known check (role in ('orchestrator', 'worker')),
  constraint workers_alone_have_places check (
    (places is not null) = (role = 'worker') and (taken is not null) = (role = 'worker')
  )
)
-- Rows are rewritten every ten seconds, and are to stay on their page.
with (fillfactor = 50);
