-- What is timed, from one moment in the life of a step to the next.
create type tasker.timed_event as enum (
  'ready_to_enqueued', 'enqueued_to_received', 'received_to_ended', 'ended_to_successors_ready',
  'notification_to_command'
);

-- The classes of priorities by which events are sampled; the configuration says what falls into each.
create type tasker.priority_class as enum ('low', 'normal', 'high', 'urgent');

-- Sampled latencies, each of which stands for `weight` events. A partition holds a day (UTC), is made
-- when its first sample comes, and is dropped when statistics_buckets has what it says.
create table tasker.statistics_samples (
  at timestamptz not null,
  latency_ms real not null,
  weight real not null,
  template_id int not null,
  step_no int,
  event tasker.timed_event not null,
  priority_class tasker.priority_class not null,
  failed boolean not null
) partition by range (at);

-- What is left of the days whose samples are gone: how many events of a day had a latency within the
-- bounds of a bucket (tasker.latency_bucket). Counts of one bucket add up, whatever else they are of.
create table tasker.statistics_buckets (
  day date not null,
  template_id int not null,
  event tasker.timed_event not null,
  priority_class tasker.priority_class not null,
  bucket int not null,
  samples bigint not null,
  count double precision not null,
  failures double precision not null,
  max_ms real not null,

  primary key (day, template_id, event, priority_class, bucket)
);

-- How far the samples of a day are in statistics_buckets: the pages before next_page.
create table tasker.statistics_rollups (
  day date primary key,
  next_page bigint not null
);
