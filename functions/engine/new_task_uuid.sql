-- A new UUIDv7 (RFC 9562) whose low 16 bits are zero, to make room for step numbers.
-- 58 random bits remain, next to the milliseconds.
create or replace function tasker.new_task_uuid()
returns uuid
language sql
volatile
as $$
  select encode(
    overlay(
      set_bit(set_bit(
        overlay(
          uuid_send(gen_random_uuid())
          placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
          from 1 for 6
        ), 52, 1), 53, 1)
      placing '\x0000'::bytea from 15 for 2
    ), 'hex')::uuid
$$;
