-- The paths into contexts that templates name for search. All versions of a template share a path, so
-- that a search looks for it once.
create table tasker.search_paths (
  path_id int primary key generated always as identity,
  namespace text not null,
  name text not null,
  path text not null,

  constraint a_path_is_noted_once unique (path, namespace, name)
);

-- The paths that a version of a template names. Templates without `search` have no row.
create table tasker.template_paths (
  template_id int not null references tasker.templates,
  path text not null,
  path_id int not null references tasker.search_paths,
  keys text[] not null generated always as (string_to_array(path, '.')) stored,

  primary key (template_id, path)
);

-- What tasks are found by: the values at those paths, up to 256 characters of each as text, and as a
-- number where the text is one. They leave with their task. The primary key walks the tasks of a path,
-- the latest first, and has all that a condition looks at; the indexes lead to values.
create table tasker.search_values (
  path_id int not null,
  task_uuid uuid not null,
  value text collate "C" not null,
  number numeric,

  primary key (path_id, task_uuid, value) include (number)
)
-- What was inserted is to be seen by index-only scans soon.
with (autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_vacuum_scale_factor = 0.05);

create index search_values_by_value on tasker.search_values (path_id, value, task_uuid);

create index search_values_by_number on tasker.search_values (path_id, number, task_uuid)
where number is not null;
