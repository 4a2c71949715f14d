//! Lists by every filter.

use chrono::{DateTime, Utc};
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

/// Behind the tasks of [`fill`], and before those of the template `late`.
fn middle() -> TaskUuid {
    TaskUuid("01890000-0000-7000-8000-000080000000".parse().unwrap())
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
    for name in names {
        for state in states {
            for before in [None, Some(middle())] {
                let filter = TaskFilter {
                    namespace: name.map(|name| if name == "rare" { name } else { "test" }.into()),
                    name: name.map(str::to_owned),
                    state,
                    before,
                    limit: 20,
                    ..TaskFilter::default()
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

/// A list: its title, what it is restricted by, rows that it may read, tasks that it shows.
type Case = (&'static str, fn(&mut TaskFilter), i64, usize);

/// Lists by time, by key, and by what failed. Failures are looked at one by one, and nothing else.
const BY_DETAILS: [Case; 15] = [
    ("time", |list| list.since = first(), 150, 20),
    ("time to come", |list| list.since = later(), 10, 0),
    ("time gone by", |list| list.until = later(), 150, 20),
    ("time before all", |list| list.until = first(), 10, 0),
    (
        "time and name",
        |list| {
            list.since = later();
            list.name = Some("pair".to_owned());
        },
        10,
        0,
    ),
    (
        "version",
        |list| list.version = Some("1.0.0".into()),
        150,
        20,
    ),
    (
        "name, backwards",
        |list| {
            list.after = Some(middle());
            list.name = Some("late".to_owned());
        },
        150,
        20,
    ),
    (
        "rare name, backwards",
        |list| {
            list.after = Some(middle());
            list.name = Some("rare".to_owned());
        },
        10,
        0,
    ),
    (
        "state, backwards",
        |list| {
            list.after = Some(middle());
            list.state = Some(TaskState::Error);
        },
        10,
        0,
    ),
    ("key", |list| list.key = Some("old 7".into()), 30, 1),
    ("unknown key", |list| list.key = Some("none".into()), 30, 0),
    ("step", |list| list.step = Some("second".into()), 200, 20),
    (
        "other step",
        |list| list.step = Some("first".into()),
        200,
        0,
    ),
    ("error", |list| list.error = Some("refused".into()), 200, 20),
    (
        "other error",
        |list| list.error = Some("none".into()),
        200,
        0,
    ),
];

/// The millisecond in the UUIDs of all tasks, and the one after it.
fn first() -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(0x0189_0000_0000)
}

fn later() -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(0x0189_0000_0001)
}

async fn list_by_details(meter: &mut Meter, when: &str) {
    for (title, restrict, bound, expected) in BY_DETAILS {
        let mut filter = TaskFilter {
            limit: 20,
            ..TaskFilter::default()
        };
        restrict(&mut filter);
        let title = format!("{when} list_tasks by {title}");
        let listed = meter
            .call(&title, EachTime, bound, async |connection| {
                tasks::list_tasks(connection, &filter).await.unwrap()
            })
            .await;
        assert_eq!(listed.len(), expected, "{title}");
    }
}

#[tokio::test]
async fn lists_by_time_key_and_failure_read_little_more_than_they_show() {
    let mut meter = Meter::new().await;
    fill_unevenly(&mut meter.world).await;
    let fail = "update tasker.steps set state = 'error', error = '{\"message\": \"card refused\"}'
        where step_no = 2 and task_uuid in (
          select task_uuid from tasker.tasks where state = 'error'
        )";
    meter.world.run(fail).await;

    list_by_details(&mut meter, "first").await;
    meter.world.run("analyze").await;
    list_by_details(&mut meter, "then").await;

    meter.assert_frugal();
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
