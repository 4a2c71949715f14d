-- Tasks that left by retention, where the archive is this table: one document each, as
-- tasker.export_task() answered it in the transaction that deleted the task.
create table tasker.archived_tasks (
  task_uuid uuid primary key,
  archived_at timestamptz not null,
  document jsonb not null
);

-- How far each sweep through the tasks has come, in the order of their UUIDs, which is that of their
-- submission. There is one for each retention in use: what is younger than that was not due when it
-- passed. The sweep of retention 0 goes round behind them, for tasks that ended late.

create table tasker.history_sweeps (
  retention interval primary key,
  reached uuid not null
);

-- Idempotency keys that outlive their tasks, and until when.
create table tasker.kept_keys (
  forget_at timestamptz not null,
  task_uuid uuid not null,
  namespace text not null,
  name text not null,
  idempotency_key text not null
);

create index kept_keys_by_time on tasker.kept_keys (forget_at);

-- How far the indexes of the logs were summarised again, in pages; see tasker.refresh_log_ranges().
create table tasker.log_ranges (
  log text primary key,
  next_page bigint not null
);

-- Nothing but retention leaves dead rows in the logs, which have the most rows of all: a twentieth
-- of them is what disk they may take beyond what is in use.
alter table tasker.task_transitions set (autovacuum_vacuum_scale_factor = 0.05);
alter table tasker.step_transitions set (autovacuum_vacuum_scale_factor = 0.05);

-- Where tasks leave, moves are logged on pages that had others before, whose range has a summary that
-- every insertion then has to widen. Eight values a range do that at less than half of the cost of the
-- 32 that PostgreSQL takes by itself. On a large database they can be made before, concurrently.
create index if not exists task_transitions_by_ranges on tasker.task_transitions
using brin (task_uuid uuid_minmax_multi_ops (values_per_range = 8), transition_no)
with (pages_per_range = 64, autosummarize = on);

create index if not exists step_transitions_by_ranges on tasker.step_transitions
using brin (task_uuid uuid_minmax_multi_ops (values_per_range = 8), transition_no)
with (pages_per_range = 64, autosummarize = on);

drop index tasker.task_transitions_by_range;
drop index tasker.step_transitions_by_range;

-- As for those: the first range of an empty table is to have no summary.
select brin_desummarize_range('tasker.task_transitions_by_ranges', 0)
where pg_relation_size('tasker.task_transitions') = 0;
select brin_desummarize_range('tasker.step_transitions_by_ranges', 0)
where pg_relation_size('tasker.step_transitions') = 0;
