-- Time beyond a step's timeout that its worker has to report it, before the message comes back.
create or replace function tasker.timeout_grace_ms() returns int language sql immutable as $$ select 1000 $$;
