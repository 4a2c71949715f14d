//! Lists by every filter.

use serde_json::json;
use tasker_shared::ids::TaskUuid;
use tasker_shared::state::TaskState;
use tasker_shared::tasks::{self, TaskFilter};

use crate::Planned::EachTime;
use crate::support::World;
use crate::{Meter, PAIR, fill};

/// Adds to [`fill`] what makes lists hard: a template last used long before another, failures
/// among the oldest, and a recent template that outnumbers them.
async fn fill_unevenly(world: &mut World) {
    fill(world).await;
    world.template("late", PAIR).await;
    world
        .apply(json!({
            "namespace": "rare", "name": "rare", "version": "1.0.0",
            "steps": [{ "name": "only", "handler": "h" }],
        }))
        .await;
    world
        .run(
            "insert into tasker.tasks
              (task_uuid, created_at, started_at, finished_at, template_id, state, priority,
              active_steps, context)
            select ('01890000-0000-7000-8001-' || lpad(to_hex(t.n), 8, '0') || '0000')::uuid,
              t.created_at, t.started_at, t.finished_at,
              (select template_id from tasker.templates where name = 'late'), t.state, t.priority,
              t.active_steps, t.context
            from (
              select *, row_number() over () as n from tasker.tasks limit 20000
            ) t;
            update tasker.tasks set template_id = (
              select template_id from tasker.templates where name = 'rare'
            ) where task_uuid in (select task_uuid from tasker.tasks order by 1 limit 40);
            update tasker.tasks set state = 'error', failed_steps = 1 where task_uuid in (
              select task_uuid from tasker.tasks order by 1 offset 40 limit 30
            )",
        )
        .await;
}

/// Lists by every filter, from the latest on and from the middle on.
async fn list_by_everything(meter: &mut Meter, when: &str) {
    let names = [None, Some("pair"), Some("late"), Some("rare")];
    let states = [
        None,
        Some(TaskState::Complete),
        Some(TaskState::Error),
        Some(TaskState::InProgress),
    ];
    let middle = TaskUuid("01890000-0000-7000-8000-000080000000".parse().unwrap());
    for name in names {
        for state in states {
            for before in [None, Some(middle)] {
                let filter = TaskFilter {
                    namespace: name.map(|name| if name == "rare" { name } else { "test" }.into()),
                    name: name.map(str::to_owned),
                    state,
                    before,
                    limit: 20,
                };
                let title = format!("{when} list_tasks by {name:?}, {state:?}, {before:?}");
                let listed = meter
                    .call(&title, EachTime, 150, async |connection| {
                        tasks::list_tasks(connection, &filter).await.unwrap()
                    })
                    .await;
                let late = before.is_some() && name == Some("late");
                let expected = match state {
                    Some(TaskState::InProgress) => 0,
                    Some(TaskState::Error) if name.is_some_and(|name| name != "pair") => 0,
                    _ if late => 0,
                    _ => 20,
                };
                assert_eq!(listed.len(), expected, "{title}");
            }
        }
    }
}

#[tokio::test]
async fn lists_read_little_more_than_they_show() {
    let mut meter = Meter::new().await;
    fill_unevenly(&mut meter.world).await;

    list_by_everything(&mut meter, "first").await;
    meter.world.run("analyze").await;
    list_by_everything(&mut meter, "then").await;

    meter.assert_frugal();
}
