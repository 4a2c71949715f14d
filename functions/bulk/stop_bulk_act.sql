-- Stops an act that is under way, after the batch that is in hand; what it did stays done. Answers the
-- act as it is then. Raises TK404 where there is none.
create or replace function tasker.stop_bulk_act(p_bulk_uuid uuid)
returns jsonb
language plpgsql
as $$
begin
  perform from tasker.bulk_acts where bulk_uuid = p_bulk_uuid for update;
  if not found then
    raise exception using
      errcode = 'TK404', message = format('there is no bulk act %s', p_bulk_uuid);
  end if;
  update tasker.bulk_acts set stopped = true, ended_at = clock_timestamp()
  where bulk_uuid = p_bulk_uuid and ended_at is null;
  return tasker.bulk_act(p_bulk_uuid);
end
$$;
