-- What breaks the invariants of a database, as tasker.doctor() has it. Each branch recomputes from
-- the rows what another part of the engine keeps.
create or replace function tasker.findings()
returns table (check_name text, task_uuid uuid, step_name text, detail text)
language plpgsql
stable
as $$
#variable_conflict use_column
declare
  v_messages tasker.queued_message[] := tasker.queued_messages();
begin
  return query
  with satisfied as (
    select s.task_uuid, s.step_no from tasker.steps s
    where s.state in ('complete', 'skipped', 'resolved_manually')
  ), parent as (
    select s.task_uuid, s.step_no, count(*) filter (where d.step_no is null) as unsatisfied
    from tasker.steps s
    join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
    cross join unnest(ts.depends_on) as e(parent_no)
    left join satisfied d on d.task_uuid = s.task_uuid and d.step_no = e.parent_no
    group by s.task_uuid, s.step_no
  )
  select 'waiting_on_counts_unsatisfied_parents', s.task_uuid, ts.name,
    format('waiting_on is %s, but %s parents are not satisfied', s.waiting_on,
      coalesce(p.unsatisfied, 0))
  from tasker.steps s
  join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
  left join parent p on p.task_uuid = s.task_uuid and p.step_no = s.step_no
  where s.waiting_on <> coalesce(p.unsatisfied, 0);

  return query
  select 'task_counters_match_steps', t.task_uuid, null::text,
    format('active_steps is %s and failed_steps %s, but the steps amount to %s and %s',
      t.active_steps, t.failed_steps, coalesce(c.active, 0), coalesce(c.failed, 0))
  from tasker.tasks t
  left join (
    select s.task_uuid,
      count(*) filter (
        where s.state in ('enqueued', 'in_progress', 'waiting_for_retry')
          or s.state = 'pending' and s.waiting_on = 0
      ) as active,
      count(*) filter (where s.state = 'error') as failed
    from tasker.steps s
    group by s.task_uuid
  ) c on c.task_uuid = t.task_uuid
  where t.active_steps <> coalesce(c.active, 0) or t.failed_steps <> coalesce(c.failed, 0);

  return query
  select 'task_has_all_its_steps', t.task_uuid, null::text,
    format('it has %s steps, its template %s', count(s.step_no), tp.step_count)
  from tasker.tasks t
  join tasker.templates tp on tp.template_id = t.template_id
  left join tasker.steps s on s.task_uuid = t.task_uuid
  group by t.task_uuid, tp.step_count
  having count(s.step_no) <> tp.step_count;

  return query
  select 'task_state_fits_its_steps', t.task_uuid, ts.name,
    format('the task is %s while the step is %s', t.state, s.state)
  from tasker.tasks t
  join tasker.steps s on s.task_uuid = t.task_uuid
  join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
  where t.state = 'complete' and s.state not in ('complete', 'skipped', 'resolved_manually')
    or t.state = 'pending' and s.state <> 'pending'
    or t.state in ('error', 'resolved_manually')
      and s.state in ('enqueued', 'in_progress', 'waiting_for_retry')
    or t.state = 'cancelled' and s.state in ('pending', 'enqueued', 'waiting_for_retry');

  return query
  select 'no_task_is_stuck', s.task_uuid, ts.name,
    case s.state
      when 'pending' then 'it is ready, but nothing offers it to be claimed'
      when 'waiting_for_retry' then 'it waits for a retry that no timer will start'
      else format('it is %s, but message %s is not in its queue', s.state, s.msg_id)
    end
  from tasker.steps s
  join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
  left join tasker.ready_steps r on r.task_uuid = s.task_uuid and r.step_no = s.step_no
  left join tasker.timers w on w.task_uuid = s.task_uuid and w.step_no = s.step_no
  left join unnest(v_messages) m
    on m.task_uuid = s.task_uuid and m.msg_id = s.msg_id
  where s.state = 'pending' and s.waiting_on = 0 and r.ready_no is null
    or s.state = 'waiting_for_retry' and r.ready_no is null and w.due_at is null
    or s.state in ('enqueued', 'in_progress') and m.msg_id is null;

  return query
  select 'no_step_is_offered_twice', r.task_uuid, ts.name, format('%s ready rows', count(*))
  from tasker.ready_steps r
  join tasker.template_steps ts on ts.template_id = r.template_id and ts.step_no = r.step_no
  group by r.task_uuid, ts.name
  having count(*) > 1;

  return query
  select 'every_queue_can_be_used', null::uuid, null::text,
    format('namespace %s: %s', d.namespace, d.problem)
  from tasker.damaged_queues() d;

  return query
  select 'every_message_stands_for_a_step', m.task_uuid, null::text,
    format('message %s of %s stands for step %s, which does not wait for it',
      m.msg_id, m.queue_name, m.step_no)
  from unnest(v_messages) m
  left join tasker.steps s
    on s.task_uuid = m.task_uuid and s.msg_id = m.msg_id
  where s.task_uuid is null;

  return query
  select 'no_step_starts_before_its_parents_end', s.task_uuid, ts.name,
    format('it was enqueued at %s, its parent %s ended at %s',
      s.enqueued_at, pts.name, coalesce(p.finished_at::text, 'no time'))
  from tasker.steps s
  join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
  cross join unnest(ts.depends_on) as e(parent_no)
  join tasker.steps p on p.task_uuid = s.task_uuid and p.step_no = e.parent_no
  join tasker.template_steps pts on pts.template_id = p.template_id and pts.step_no = p.step_no
  where s.enqueued_at is not null
    and (p.state not in ('complete', 'skipped', 'resolved_manually')
      or p.finished_at > s.enqueued_at);

  return query
  select 'no_step_completes_twice', l.task_uuid, ts.name, format('%s completions', l.completions)
  from (
    select l.task_uuid, l.step_no, count(*) as completions
    from tasker.step_transitions l
    where l.to_state = 'complete'
    group by l.task_uuid, l.step_no
    having count(*) > 1
  ) l
  join tasker.tasks t on t.task_uuid = l.task_uuid
  join tasker.template_steps ts on ts.template_id = t.template_id and ts.step_no = l.step_no;

  return query
  select 'the_log_leads_to_the_state', s.task_uuid, ts.name,
    format('the log goes from %s to %s, but the step is %s',
      coalesce(l.from_state::text, 'nowhere'), coalesce(l.last_state::text, 'pending'), s.state)
  from tasker.steps s
  join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
  left join (
    select task_uuid, step_no, last_value(to_state) over moves as last_state, from_state,
      lag(to_state, 1, 'pending') over moves <> from_state as broken,
      row_number() over (partition by task_uuid, step_no order by transition_no desc) as back
    from tasker.step_transitions
    window moves as (partition by task_uuid, step_no order by transition_no)
  ) l on l.task_uuid = s.task_uuid and l.step_no = s.step_no and (l.broken or l.back = 1)
  where l.broken or coalesce(l.last_state, 'pending') <> s.state;

  return query
  select 'the_log_leads_to_the_state', t.task_uuid, null::text,
    format('the log goes from %s to %s, but the task is %s',
      coalesce(l.from_state::text, 'nowhere'), coalesce(l.last_state::text, 'pending'), t.state)
  from tasker.tasks t
  left join (
    select task_uuid, to_state as last_state, from_state,
      lag(to_state, 1, 'pending') over moves <> from_state as broken,
      row_number() over (partition by task_uuid order by transition_no desc) as back
    from tasker.task_transitions
    window moves as (partition by task_uuid order by transition_no)
  ) l on l.task_uuid = t.task_uuid and (l.broken or l.back = 1)
  where l.broken or coalesce(l.last_state, 'pending') <> t.state;
end
$$;
