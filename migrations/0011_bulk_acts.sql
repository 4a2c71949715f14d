-- What operators do to all tasks that match: an act each, kept as long as the database. It is done in
-- batches, the latest submitted task first; position is the last task of the latest batch, and problem
-- why the latest task was refused or held.
create table tasker.bulk_acts (
  bulk_uuid uuid primary key,
  created_at timestamptz not null,
  touched_at timestamptz not null,
  ended_at timestamptz,
  position uuid,
  done bigint not null default 0,
  refused bigint not null default 0,
  held bigint not null default 0,
  stopped boolean not null default false,
  action text not null,
  actor text not null,
  reason text,
  problem text,
  filter jsonb not null,

  constraint an_action_is_known check (action in ('retry', 'cancel', 'resolve')),
  constraint what_is_stopped_has_ended check (not stopped or ended_at is not null)
);

create index bulk_acts_under_way on tasker.bulk_acts (touched_at) where ended_at is null;
