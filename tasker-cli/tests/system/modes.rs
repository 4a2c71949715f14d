//! Each deployment mode alone does everything: runs, retries, ends what takes too long, takes over
//! from the dead and tells of cancellations.

use super::world::World;

const TASKS: usize = 200;

/// The mixed graph; a step fails once, another takes longer than it may, each time.
const TROUBLED: &str = "\
namespace: graphs
name: troubled
version: 1.0.0
defaults: { retry: { max_attempts: 3, backoff: fixed, base_ms: 50, jitter: false } }
steps:
  - { name: first, handler: builtin.noop }
  - { name: second, handler: builtin.noop }
  - { name: one, handler: builtin.fail, depends_on: [first], input: { times: 1 } }
  - { name: two, handler: builtin.noop, depends_on: [first] }
  - { name: three, handler: builtin.sleep, depends_on: [second], input: { ms: 3600000 },
      timeout_ms: 100, retry: { max_attempts: 2 } }
  - { name: pair, handler: builtin.noop, depends_on: [one, two] }
  - { name: last, handler: builtin.noop, depends_on: [pair, second] }
";

/// A step that outlasts every test, and comes back soon after its worker died.
const LONG: &str = "\
namespace: graphs
name: long
version: 1.0.0
steps:
  - { name: sleep, handler: builtin.sleep, input: { ms: 3600000 }, timeout_ms: 7200000,
      retry: { max_attempts: 3, base_ms: 50 } }
";

#[tokio::test]
async fn notifications_alone_suffice() {
    works_alone(&[("DEPLOYMENT_MODE", "EventDrivenOnly")]).await;
}

#[tokio::test]
async fn polling_alone_suffices() {
    works_alone(&[
        ("DEPLOYMENT_MODE", "PollingOnly"),
        ("POLL_INTERVAL_MS", "50"),
    ])
    .await;
}

#[tokio::test]
async fn notifications_and_polling_together_do_nothing_twice() {
    works_alone(&[("DEPLOYMENT_MODE", "Hybrid"), ("POLL_INTERVAL_MS", "50")]).await;
}

#[tokio::test]
async fn every_mode_takes_over_from_a_dead_worker_and_tells_of_cancellations() {
    for mode in ["EventDrivenOnly", "Hybrid", "PollingOnly"] {
        let environment = [
            ("DEPLOYMENT_MODE", mode),
            ("POLL_INTERVAL_MS", "50"),
            ("TASKER__WORKER__LEASE_SECONDS", "1"),
        ];
        let world = World::start().await;
        world.apply(LONG).await;
        let orchestrator = world.orchestrator(&environment).await;
        let mut victim = world.worker(&environment).await;
        world.submit("long", 1).await;
        world.wait_for("a handler runs", RUNS_FIRST).await;

        victim.process.kill9();
        let worker = world.worker(&environment).await;
        world.wait_for("another attempt runs", RUNS_AGAIN).await;
        world
            .run("select tasker.cancel_task(task_uuid, 'test') from tasker.tasks")
            .await;

        let ended = "select bool_and(state = 'cancelled') from tasker.steps";
        world.wait_for("the handler has ended", ended).await;
        world.end([orchestrator, worker]).await;
    }
}

const RUNS_FIRST: &str =
    "select exists (select from tasker.steps where state = 'in_progress' and attempt = 1)";

const RUNS_AGAIN: &str =
    "select exists (select from tasker.steps where state = 'in_progress' and attempt = 2)";

async fn works_alone(environment: &[(&str, &str)]) {
    let world = World::start().await;
    world.apply(TROUBLED).await;
    let roles = [
        world.orchestrator(environment).await,
        world.worker(environment).await,
    ];
    world.submit("troubled", TASKS).await;
    world.wait_for_the_end().await;

    let outcomes: Vec<String> = world
        .values(
            "select format('%s: %s after %s attempts%s', ts.name, s.state, s.attempt,
               ', ' || (s.error ->> 'kind'))
             from tasker.steps s join tasker.template_steps ts using (template_id, step_no)
             group by step_no, ts.name, s.state, s.attempt, s.error ->> 'kind'
             having count(*) = 200 order by step_no",
        )
        .await;
    assert_eq!(
        outcomes,
        [
            "first: complete after 1 attempts",
            "second: complete after 1 attempts",
            "one: complete after 2 attempts",
            "two: complete after 1 attempts",
            "three: error after 2 attempts, timeout",
            "pair: complete after 1 attempts",
            "last: complete after 1 attempts",
        ]
    );
    world.assert_order().await;
    let failed: i64 = world
        .value("select count(*) from tasker.tasks where state = 'error'")
        .await;
    assert_eq!(failed, i64::try_from(TASKS).unwrap());
    world.end(roles).await;
}
