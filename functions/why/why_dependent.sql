-- Why a step waits that waits for others: which of those that it depends on are not done, ten at most,
-- and the step in which that wait ends.
create or replace function tasker.why_dependent(p_step tasker.steps, p_root int)
returns jsonb
language plpgsql
stable
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
as $$
begin
  return (
    select jsonb_build_object(
      'cause', 'waits_for_steps',
      'detail', format('%s of the %s steps it depends on %s not done: %s%s; it waits for %s, which '
        'is %s', p_step.waiting_on, cardinality(ts.depends_on),
        case when p_step.waiting_on = 1 then 'is' else 'are' end, p.names,
        case when p_step.waiting_on > 10 then ', …' else '' end, rts.name, r.state),
      'evidence', jsonb_build_object(
        'not_done', p_step.waiting_on, 'parents', p.parents, 'root_state', r.state
      )
    )
    from tasker.template_steps ts
    join tasker.steps r on r.task_uuid = p_step.task_uuid and r.step_no = p_root
    join tasker.template_steps rts on rts.template_id = ts.template_id and rts.step_no = p_root
    cross join lateral (
      select coalesce(
          jsonb_agg(jsonb_build_object('step_name', f.name, 'state', f.state)), '[]'
        ) as parents,
        string_agg(f.name, ', ') as names
      from (
        select pts.name, ps.state
        from unnest(ts.depends_on) with ordinality as d(step_no, position)
        join tasker.steps ps on ps.task_uuid = p_step.task_uuid and ps.step_no = d.step_no
        join tasker.template_steps pts
          on pts.template_id = ts.template_id and pts.step_no = d.step_no
        where ps.state not in ('complete', 'skipped', 'resolved_manually')
        order by d.position
        limit 10
      ) f
    ) p
    where ts.template_id = p_step.template_id and ts.step_no = p_step.step_no
  );
end
$$;
