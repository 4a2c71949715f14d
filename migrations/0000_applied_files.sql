-- An account that may not create schemas can be given this one.
do $$
begin
  if to_regnamespace('tasker') is null then
    create schema tasker;
  end if;
end
$$;

-- The files of `migrations/` and `functions/` that were applied, each with the SHA-256 of its text.
-- A migration never changes; a function is applied again when the text of its file has changed.
create table tasker.applied_files (
  file text primary key,
  checksum text not null,
  applied_at timestamptz not null default clock_timestamp()
);

-- The newest build that the schema was brought up to date by, and the oldest that can use it.
create table tasker.schema_version (
  version text not null,
  oldest_build text not null,
  only_one boolean primary key default true,

  constraint there_is_one_row check (only_one)
);
