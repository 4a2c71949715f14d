//! All that may trouble a database, in one run: each trouble stays with those it concerns, and all
//! tasks end as their handlers say.

use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::{Postgres, Transaction};
use tasker_shared::ids::TaskUuid;
use tasker_shared::tasks::{NewTask, OnConflict, submit_tasks};
use tasker_testing::{Durability, FrozenSession, TaskerBinary, WAIT_TIMEOUT, wait_for, wait_until};
use tokio::time::interval;
use uuid::Uuid;

use super::templates::{DIAMOND, LINEAR};
use super::world::{NAMESPACE, Role, World};

/// The namespace whose queue is dropped.
const OTHER: &str = "other";

/// Three steps, of which two take a moment.
const PACED: &str = "\
namespace: graphs
name: paced
version: 1.0.0
steps:
  - { name: first, handler: builtin.sleep, input: { ms: 100 } }
  - { name: second, handler: builtin.sleep, input: { ms: 100 }, depends_on: [first] }
  - { name: third, handler: builtin.noop, depends_on: [second] }
";

/// A step that ends well at its second attempt.
const FLAKY: &str = "\
namespace: graphs
name: flaky
version: 1.0.0
defaults: { retry: { max_attempts: 2, backoff: fixed, base_ms: 50, jitter: false } }
steps:
  - { name: first, handler: builtin.noop }
  - { name: second, handler: builtin.fail, input: { times: 1 }, depends_on: [first] }
  - { name: third, handler: builtin.noop, depends_on: [second] }
";

/// A step that fails permanently.
const FAILING: &str = "\
namespace: graphs
name: failing
version: 1.0.0
steps:
  - { name: first, handler: builtin.noop }
  - { name: second, handler: builtin.fail, input: { retryable: false }, depends_on: [first] }
  - { name: third, handler: builtin.noop, depends_on: [second] }
";

/// What is submitted together: how many tasks of which template.
const BATCH: [(&str, &str, usize); 7] = [
    (NAMESPACE, "linear", 10),
    (NAMESPACE, "diamond", 10),
    (NAMESPACE, "paced", 10),
    (NAMESPACE, "flaky", 5),
    (NAMESPACE, "failing", 5),
    (OTHER, "linear", 5),
    (OTHER, "paced", 5),
];
/// With [`BATCH`], 5,000 tasks.
const BATCHES: usize = 100;
/// As clients do, who know nothing of the troubles: the next task does not wait for the last.
const BETWEEN_BATCHES: Duration = Duration::from_millis(200);

/// Steps that each have a text of [`LENGTH`] as result, and are joined by one step.
const PARENTS: usize = 300;
const LENGTH: i32 = 1_000_000;

/// How long a backend is frozen, and how long an operator's transaction is open at least.
const SECONDS: Duration = Duration::from_secs(2);
/// How long the database takes no writes.
const READ_ONLY: Duration = Duration::from_secs(5);

/// A template for the other namespace.
fn of_the_other(template: &str) -> String {
    template.replace("namespace: graphs", &format!("namespace: {OTHER}"))
}

/// The template of [`PARENTS`] steps and the one that joins them.
fn large() -> String {
    let names: Vec<_> = (0..PARENTS)
        .map(|number| format!("part_{number}"))
        .collect();
    let parents = names
        .iter()
        .map(|name| format!("  - {{ name: {name}, handler: nobody.part }}"));
    format!(
        "namespace: graphs\nname: large\nversion: 1.0.0\nsteps:\n{}\n  \
         - {{ name: join, handler: builtin.noop, depends_on: [{}] }}\n",
        parents.collect::<Vec<_>>().join("\n"),
        names.join(", "),
    )
}

fn task(namespace: &str, name: &str) -> NewTask {
    NewTask {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        version: None,
        context: json!({}),
        priority: 0,
        idempotency_key: None,
        on_conflict: OnConflict::Existing,
    }
}

async fn begin(world: &World) -> Transaction<'static, Postgres> {
    world.pool().begin().await.unwrap()
}

async fn wait_for_time(what: &str, time: Duration) {
    let began = Instant::now();
    wait_until(what, WAIT_TIMEOUT, async || began.elapsed() > time).await;
}

/// Waits until so many tasks have ended.
async fn wait_for_ended(world: &World, tasks: i64) {
    let sql = format!(
        "select count(*) >= {tasks} from tasker.tasks where state not in ('pending', 'in_progress')"
    );
    world
        .wait_for(&format!("{tasks} tasks have ended"), &sql)
        .await;
}

async fn ended(world: &World) -> i64 {
    world
        .value("select count(*) from tasker.tasks where state not in ('pending', 'in_progress')")
        .await
}

/// Submits all tasks, batch by batch, whatever becomes of them.
async fn submit(world: &World) {
    let mut due = interval(BETWEEN_BATCHES);
    for _ in 0..BATCHES {
        due.tick().await;
        let tasks = BATCH.iter().flat_map(|(namespace, name, count)| {
            std::iter::repeat_n(task(namespace, name), *count)
        });
        let mut connection = world.pool().acquire().await.unwrap();
        submit_tasks(&mut connection, &tasks.collect::<Vec<_>>())
            .await
            .unwrap();
    }
}

/// Foreign messages: one that no worker would receive, and one that all would.
async fn send_strange_messages(world: &World) {
    for message in [
        r#"{"task_uuid": "x"}"#,
        r#"{"task_uuid": "x", "step_no": 1, "handler": "builtin.noop"}"#,
    ] {
        let send = format!("select pgmq.send('worker_{NAMESPACE}_queue', '{message}')");
        world.value::<i64>(&send).await;
    }
}

/// A task whose parents have all their results, by the hand of an operator.
async fn submit_large(world: &World) -> TaskUuid {
    let mut transaction = begin(world).await;
    let submitted = submit_tasks(&mut transaction, &[task(NAMESPACE, "large")])
        .await
        .unwrap();
    let task = submitted[0].task_uuid;
    sqlx::query(
        "select tasker.settle_step(
           $1, 'part_' || number, 'resolved_manually', to_jsonb(repeat('x', $2)), 'test'
         )
         from generate_series(0, $3 - 1) as number",
    )
    .bind(task.0)
    .bind(LENGTH)
    .bind(i32::try_from(PARENTS).unwrap())
    .execute(&mut *transaction)
    .await
    .unwrap();
    transaction.commit().await.unwrap();
    task
}

/// An operator who acts on a task that runs, and does not come to an end.
async fn act(world: &World, action: &str) -> Transaction<'static, Postgres> {
    wait_for("a task that nobody holds", WAIT_TIMEOUT, async || {
        let mut transaction = begin(world).await;
        let task: Option<Uuid> = sqlx::query_scalar(
            "select t.task_uuid
             from tasker.tasks t
             join tasker.steps s on s.task_uuid = t.task_uuid and s.step_no = 3
             join tasker.templates p on p.template_id = t.template_id
             where t.listed_as = 'in_progress' and p.namespace = $1 and p.name = 'paced'
               and s.state = 'pending' and s.waiting_on > 0
             order by t.task_uuid desc
             limit 1
             for update of t skip locked",
        )
        .bind(NAMESPACE)
        .fetch_optional(&mut *transaction)
        .await
        .unwrap();
        let act = sqlx::AssertSqlSafe(action);
        sqlx::query(act)
            .bind(task?)
            .execute(&mut *transaction)
            .await
            .unwrap();
        Some(transaction)
    })
    .await
}

/// Operators whose transactions stay open while others work. Those that skip a step commit.
async fn hold_tasks(world: &World) {
    let skip = "select tasker.settle_step($1, 'third', 'skipped', null, 'operator')";
    let cancel = "select tasker.cancel_task($1, 'operator')";
    let skips = [act(world, skip).await, act(world, skip).await];
    let cancels = [act(world, cancel).await, act(world, cancel).await];
    let before = ended(world).await;
    wait_for_time("they hold their tasks", SECONDS).await;
    wait_for_ended(world, before + 300).await;
    for transaction in cancels {
        transaction.rollback().await.unwrap();
    }
    for transaction in skips {
        transaction.commit().await.unwrap();
    }
}

/// Freezes a backend of each sort of call, all at once.
async fn freeze_backends(world: &World) {
    let mut frozen = Vec::new();
    for call in [
        "complete_%step",
        "receive_steps",
        "claim_ready_tasks",
        "fire_due_timers",
    ] {
        let session = wait_for("a session is idle", WAIT_TIMEOUT, async || {
            FrozenSession::idle_after(world.pool(), call).await
        });
        frozen.push(session.await);
    }
    wait_for_time("backends are frozen", SECONDS).await;
}

/// Makes the database read-only for all but the test.
async fn take_no_writes(world: &World) {
    let set = async |read_only: &str| {
        let alter =
            format!("alter database tasker set default_transaction_read_only = {read_only}");
        world.run(&alter).await;
    };
    set("on").await;
    let terminate = "select count(pg_terminate_backend(pid)) from pg_stat_activity
         where datname = current_database() and application_name = 'tasker'";
    assert!(world.value::<i64>(terminate).await > 0);
    wait_for_time("nothing is written", READ_ONLY).await;
    set("off").await;
}

async fn repair(world: &World) {
    let environment = [("DATABASE_URL", world.url())];
    let output = TaskerBinary::locate()
        .run(&["doctor", "--repair"], &environment)
        .await;
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    let made = format!("the queue of {OTHER} was made again");
    assert!(said.contains(&made), "{said}");
}

/// Says that all tasks ended as they had to, and all steps with as many attempts as that takes.
async fn assert_ended_as_handlers_said(world: &World) {
    let found: Vec<String> = world
        .values(
            "select format('%s/%s %s %s', p.namespace, p.name, t.state, count(*))
             from tasker.tasks t join tasker.templates p using (template_id)
             group by p.namespace, p.name, t.state order by 1",
        )
        .await;
    let mut expected: Vec<String> = BATCH
        .iter()
        .map(|(namespace, name, count)| {
            let state = if *name == "failing" {
                "error"
            } else {
                "complete"
            };
            format!("{namespace}/{name} {state} {}", count * BATCHES)
        })
        .collect();
    expected.push(format!("{NAMESPACE}/large error 1"));
    expected.sort();
    assert_eq!(found, expected);

    let strange: Vec<String> = world
        .values(
            "select format('%s/%s step %s: %s, attempt %s, %s', p.namespace, p.name, s.step_no,
               s.state, s.attempt, s.error)
             from tasker.steps s join tasker.templates p using (template_id)
             join tasker.template_steps ts using (template_id, step_no)
             where s.state || ' ' || s.attempt <> case
               when p.name = 'flaky' and ts.name = 'second' then 'complete 2'
               when p.name = 'failing' and ts.name = 'second' then 'error 1'
               when p.name = 'failing' and ts.name = 'third' then 'pending 0'
               when p.name = 'large' and ts.name = 'join' then 'error 1'
               when p.name = 'large' then 'resolved_manually 0'
               when s.state = 'skipped' then 'skipped 0'
               else 'complete 1'
             end
             order by 1 limit 20",
        )
        .await;
    assert!(strange.is_empty(), "{strange:#?}");
    let skipped = "select count(*) from tasker.steps where state = 'skipped'";
    assert_eq!(world.value::<i64>(skipped).await, 2);
}

/// Says that each run of a handler is in the log, once.
async fn assert_no_run_in_vain(world: &World, workers: &[Role]) {
    let mut runs = 0;
    for worker in workers {
        runs += worker
            .metric("tasker_step_duration_seconds_count", "")
            .await;
    }
    let logged = "select count(*) from tasker.step_transitions
         where from_state = 'in_progress' and error ->> 'kind' is distinct from 'input_too_large'";
    assert_eq!(runs, world.value::<i64>(logged).await);
}

/// Says that each process warned once of the queue that was dropped.
fn assert_warned_once(roles: &[Role]) {
    for role in roles {
        let output = role.process.output();
        let warnings = output.matches("the queue of a namespace; others go on");
        assert_eq!(warnings.count(), 1, "{output}");
    }
}

#[tokio::test]
async fn each_trouble_stays_with_those_it_concerns_and_all_tasks_end_as_their_handlers_say() {
    let world = World::with_server(Durability::Disposable).await;
    for template in [LINEAR, DIAMOND, PACED, FLAKY, FAILING, &large()] {
        world.apply(template).await;
    }
    for template in [LINEAR, PACED] {
        world.apply(&of_the_other(template)).await;
    }
    let orchestrators = [world.orchestrator(&[]).await, world.orchestrator(&[]).await];
    let workers = [world.worker(&[]).await, world.worker(&[]).await];

    let troubles = async {
        wait_for_ended(&world, 300).await;
        send_strange_messages(&world).await;
        world
            .run(&format!("drop table pgmq.q_worker_{OTHER}_queue"))
            .await;
        let large = submit_large(&world).await;
        wait_for_ended(&world, 1000).await;
        hold_tasks(&world).await;
        wait_for_ended(&world, 2000).await;
        freeze_backends(&world).await;
        wait_for_ended(&world, 2500).await;
        take_no_writes(&world).await;
        wait_for_ended(&world, 3500).await;
        repair(&world).await;
        large
    };
    let ((), large) = tokio::join!(submit(&world), troubles);
    world.wait_for_the_end().await;

    assert_ended_as_handlers_said(&world).await;
    let too_large = format!(
        "select error ->> 'kind' = 'input_too_large' and error ->> 'message' ~ 'on_request'
         from tasker.steps where task_uuid = '{large}' and state = 'error'"
    );
    assert!(world.value::<bool>(&too_large).await);
    assert_no_run_in_vain(&world, &workers).await;
    world.assert_recorded(&workers).await;
    world.assert_order().await;
    assert_warned_once(&orchestrators);
    assert_warned_once(&workers);
    let archived = format!(
        "select count(*) = 2 from pgmq.a_worker_{NAMESPACE}_queue where message ->> 'task_uuid' = 'x'"
    );
    world
        .wait_for("strange messages are archived", &archived)
        .await;
    world.end(orchestrators.into_iter().chain(workers)).await;
}
