//! Lists by what tasks are searched by, of templates with many tasks.

use serde_json::json;
use tasker_shared::ids::TaskUuid;
use tasker_shared::state::TaskState;
use tasker_shared::tasks::{self, TaskFilter};

use crate::Meter;
use crate::Planned::EachTime;
use crate::support::World;

/// Tasks with search values.
const SEARCHED: i64 = 60_000;

/// Tasks that are sorted at most, with what a page reads beside.
const FEW: i64 = 10_000 + 300;

/// Templates of the same paths, one with many tasks: `n` counts them, `mail` is of one task each, `colour`
/// one of four, `seldom` the same for seven.
async fn fill(world: &mut World) {
    for name in ["order", "idle"] {
        world
            .apply(json!({
                "namespace": "test", "name": name, "version": "1.0.0",
                "search": ["n", "mail", "colour", "seldom"],
                "steps": [{ "name": "only", "handler": "h" }],
            }))
            .await;
    }
    world
        .run(format!(
            "set synchronous_commit = off;
            create function pg_temp.old_task(n bigint) returns uuid language sql immutable as $$
              select ('01890000-0000-7000-8000-' || lpad(to_hex(n), 8, '0') || '0000')::uuid
            $$;
            insert into tasker.tasks (task_uuid, created_at, started_at, finished_at, template_id,
              state, priority, active_steps, context)
            select pg_temp.old_task(n), now(), now(), now(), t.template_id, 'complete', 0, 0,
              jsonb_build_object('n', n, 'mail', 'user' || n, 'colour',
                (array['red', 'blue', 'green', 'gray'])[1 + n % 4], 'seldom', n / 7)
            from generate_series(1, {SEARCHED}) n, tasker.templates t where t.name = 'order';
            select tasker.note_search_values(array_agg(task_uuid), array_agg(true),
              array_agg(template_id), array_agg(context)) from tasker.tasks;
            update tasker.tasks set state = 'error', failed_steps = 1
            where task_uuid in (select pg_temp.old_task(n * 1000) from generate_series(1, 50) n)"
        ))
        .await;
}

/// A search: its conditions, what else restricts it, rows that it may read, tasks that it shows.
type Case = (&'static [&'static str], fn(&mut TaskFilter), i64, usize);

const CASES: [Case; 19] = [
    (&["mail=user7"], |_| (), 40, 1),
    (&["mail=nobody"], |_| (), 40, 0),
    (&["mail^=user77"], |_| (), 1500 * 4, 20),
    (&["mail^=nobody"], |_| (), 40, 0),
    (&["mail^=user"], |_| (), FEW, 20),
    (&["mail>user"], |_| (), FEW, 20),
    (&["colour=red"], |_| (), 200, 20),
    (
        &["colour=red"],
        |list| list.before = Some(middle()),
        200,
        20,
    ),
    (&["colour=red"], |list| list.after = Some(middle()), 200, 20),
    (&["colour<green"], |_| (), FEW, 20),
    (&["n>=0"], |_| (), FEW, 20),
    (&["n>=0"], |list| list.before = Some(middle()), FEW, 20),
    (&["n>=0"], |list| list.after = Some(middle()), FEW, 20),
    (&["n>59990"], |_| (), 150, 10),
    (&["n<10"], |_| (), 150, 9),
    (&["seldom=100"], |list| list.after = Some(middle()), 40, 0),
    (&["seldom=100", "n>=0", "colour^=r"], |_| (), 100, 2),
    (&["n>=0", "colour=red"], failed, 2 * FEW, 20),
    (&["n>=0"], failed, 2 * FEW, 20),
];

fn failed(list: &mut TaskFilter) {
    list.state = Some(TaskState::Error);
}

fn middle() -> TaskUuid {
    let middle = "01890000-0000-7000-8000-000075300000";
    TaskUuid(middle.parse().unwrap())
}

async fn search_by_everything(meter: &mut Meter, when: &str) {
    for (conditions, restrict, bound, expected) in CASES {
        for name in [None, Some("order".to_owned())] {
            let parsed = conditions
                .iter()
                .map(|condition| condition.parse().unwrap());
            let mut filter = TaskFilter {
                name,
                conditions: parsed.collect(),
                limit: 20,
                ..TaskFilter::default()
            };
            restrict(&mut filter);
            let title = format!("{when} search by {filter:?}");
            let listed = meter
                .call(&title, EachTime, bound, async |connection| {
                    tasks::list_tasks(connection, &filter).await.unwrap()
                })
                .await;
            assert_eq!(listed.len(), expected, "{title}");
        }
    }
}

#[tokio::test]
async fn searches_read_little_more_than_they_show_or_sort() {
    let mut meter = Meter::new().await;
    fill(&mut meter.world).await;

    search_by_everything(&mut meter, "first").await;
    meter.world.run("analyze").await;
    search_by_everything(&mut meter, "then").await;

    meter.assert_frugal();
}

#[tokio::test]
async fn statistics_of_an_empty_table_do_not_mislead_searches() {
    let mut meter = Meter::new().await;
    meter.world.run("vacuum analyze tasker.search_values").await;
    fill(&mut meter.world).await;
    search_by_everything(&mut meter, "at once").await;
    meter.assert_frugal();
}
