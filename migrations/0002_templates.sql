-- A namespace is a set of workers and the queue they share.
create table tasker.namespaces (
  namespace text primary key,
  queue_name text not null generated always as ('worker_' || namespace || '_queue') stored,
  created_at timestamptz not null default clock_timestamp(),

  constraint a_namespace_makes_a_valid_queue_name check (namespace ~ '^[a-z][a-z0-9_]{0,28}$')
);

-- A version of a template. It never changes, so that running tasks never do.
create table tasker.templates (
  template_id int primary key generated always as identity,
  namespace text not null references tasker.namespaces,
  name text not null,
  version text not null,
  version_order int[] not null generated always as (string_to_array(version, '.')::int[]) stored,
  description text,
  input_schema jsonb,
  body jsonb not null,
  step_count int not null,
  created_at timestamptz not null default clock_timestamp(),

  constraint a_version_is_applied_once unique (namespace, name, version),
  constraint a_version_is_three_numbers check (version ~ '^\d{1,6}\.\d{1,6}\.\d{1,6}$'),
  constraint a_template_has_steps check (step_count between 1 and 65535)
);

-- A step of a template. As versions are immutable, tasks need no copy of the graph: a task's edges
-- are its template's.
create table tasker.template_steps (
  template_id int not null references tasker.templates,
  step_no int not null,
  name text not null,
  handler text not null,
  input jsonb not null,
  depends_on int[] not null,
  dependents int[] not null,
  max_attempts int not null,
  backoff text not null,
  base_ms bigint not null,
  max_ms bigint not null,
  jitter boolean not null,
  timeout_ms int not null,
  dependency_results text not null,

  primary key (template_id, step_no),
  -- The name comes first, so that no plan takes this index to read all steps of a template.
  constraint a_step_name_is_unique_in_its_template unique (name, template_id),
  constraint a_step_number_fits_in_16_bits check (step_no between 1 and 65535),
  constraint a_step_is_attempted_at_least_once check (max_attempts >= 1),
  constraint a_backoff_is_known check (backoff in ('fixed', 'linear', 'exponential')),
  constraint delays_are_not_negative check (base_ms >= 0 and max_ms >= base_ms),
  constraint a_timeout_is_positive check (timeout_ms > 0),
  constraint results_are_given_or_asked_for check (
    dependency_results in ('inline', 'on_request')
  )
);

-- The steps that are ready when a task is submitted, so that nobody reads thousands to find them.
create index template_steps_that_depend_on_none on tasker.template_steps (template_id, step_no)
where depends_on = '{}';
