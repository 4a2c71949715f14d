//! Each deployment mode alone does everything: runs, retries, ends what takes too long.

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
