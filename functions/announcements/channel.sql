-- The PostgreSQL channel of an event: the global one, or the one of a namespace. Installations that
-- want other names set tasker.channel_prefix for the database, and database.channel_prefix in the
-- configuration.
create or replace function tasker.channel(p_event text, p_namespace text default null)
returns text
language sql
stable parallel safe
as $$
  select coalesce(nullif(current_setting('tasker.channel_prefix', true), ''), 'tasker')
    || '_' || p_event || coalesce('.' || p_namespace, '')
$$;
