-- Whether new queues are unlogged. Messages stand for steps and can be made again from them, so a
-- queue need not survive a crash of the server: unlogged it costs no WAL, and is refilled after one.
create table tasker.queue_settings (
  unlogged boolean not null default false,
  only_one boolean primary key default true,

  constraint there_is_one_row check (only_one)
);

insert into tasker.queue_settings default values;

-- Has its row from the last refill to the next crash, which empties it as it empties the queues.
create unlogged table tasker.queues_intact (
  since timestamptz not null
);

insert into tasker.queues_intact values (clock_timestamp());

-- Queues whose refill failed, and when it is tried again. After a crash all are refilled anyway.
create unlogged table tasker.queues_to_refill (
  namespace text primary key references tasker.namespaces on delete cascade,
  retry_at timestamptz not null
);
