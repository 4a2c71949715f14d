-- Keeps the triggers from announcing until tasker.announce is set back to what this answers. A
-- clause of the functions would do the same, but only a superuser may write one for a setting of
-- ours.
create or replace function tasker.suppress_notify()
returns text
language plpgsql
as $$
declare
  v_before text := coalesce(current_setting('tasker.announce', true), '');
begin
  perform set_config('tasker.announce', 'off', true);
  return v_before;
end
$$;
