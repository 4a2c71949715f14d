-- Makes the partition of a day where it is missing. It is made by itself and then attached, which
-- holds up neither readers nor writers of the others. Where another session makes it at that moment,
-- this one waits for it, for a tenth of a second at most.
create or replace function tasker.add_statistics_partition(p_day date)
returns void
language plpgsql
set lock_timeout to '100ms'
as $$
declare
  v_partition text := tasker.statistics_partition(p_day);
begin
  if to_regclass('tasker.' || v_partition) is not null then
    return;
  end if;
  execute format('create table tasker.%I (like tasker.statistics_samples)', v_partition);
  execute format(
    'alter table tasker.statistics_samples attach partition tasker.%I for values from (%L) to (%L)',
    v_partition, p_day::timestamp at time zone 'utc', (p_day + 1)::timestamp at time zone 'utc'
  );
exception when duplicate_table or unique_violation then
  null;
end
$$;
