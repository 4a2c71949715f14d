//! Whole workflows through channels that are far too small, with results that are too large for
//! them: senders wait, nothing is lost, and in the end everything has drained.

use std::time::Duration;

use super::channels::{blocked_sends, borrowed, holding, series, wait_until_healthy};
use super::templates::{DIAMOND, LINEAR, wide};
use super::world::{Role, World};

/// How long a busy machine may take for four thousand steps of a debug build.
const MUCH_PATIENCE: Duration = Duration::from_mins(5);

/// Results of steps, in characters: ten of one kind fill what the test environment has room for, and
/// the other comes near to what a single result may have.
const HEAVY: usize = 100_000;
const HEAVIEST: usize = 1_000_000;

/// The smallest byte bound that the configuration accepts.
const FEWEST_BYTES: &str = "1024";

/// A graph whose steps return so many characters.
fn returning(graph: &str, characters: usize) -> String {
    let echo = format!(
        r#"builtin.echo, input: {{ text: "{}" }}"#,
        "x".repeat(characters)
    );
    graph.replace("builtin.noop", &echo)
}

/// Runs hundreds of tasks through an orchestrator and two workers with these variables.
async fn all_complete(environment: &[(&str, &str)], capacity: f64) {
    let world = World::start_alone().await;
    let heavy = returning(DIAMOND, HEAVY).replace("diamond", "heavy");
    let heaviest = returning(LINEAR, HEAVIEST).replace("linear", "heaviest");
    for template in [LINEAR, DIAMOND, &wide(), &heavy, &heaviest] {
        world.apply(template).await;
    }
    let roles = [
        world.orchestrator(environment).await,
        world.worker(environment).await,
        world.worker(environment).await,
    ];
    for role in &roles[1..] {
        let capacities = series(role, "mpsc_channel_capacity", &[r#"channel="results""#]).await;
        assert_eq!(capacities, [capacity]);
    }
    let counts = [
        ("linear", 150),
        ("diamond", 150),
        ("wide", 20),
        ("heavy", 40),
        ("heaviest", 4),
    ];
    for (name, count) in counts {
        world.submit(name, count).await;
    }
    world.wait_for_the_end_of_much(MUCH_PATIENCE).await;

    world
        .assert_complete(counts.iter().map(|(_, count)| count).sum())
        .await;
    let largest: i32 = world
        .value("select max(length(result ->> 'text')) from tasker.steps")
        .await;
    assert_eq!(usize::try_from(largest).unwrap(), HEAVIEST);
    assert!(blocked(&roles).await > 0.0, "no channel was too small");
    for role in &roles {
        wait_until_healthy(role).await;
    }
    world.end(roles).await;
}

async fn blocked(roles: &[Role]) -> f64 {
    let mut blocked = 0.0;
    for role in roles {
        blocked += blocked_sends(role).await;
    }
    blocked
}

#[tokio::test]
async fn workflows_complete_in_the_channels_of_the_test_environment() {
    all_complete(&[("TASKER_ENV", "test")], 100.0).await;
}

#[tokio::test]
async fn workflows_complete_where_every_channel_holds_a_single_message() {
    all_complete(&borrowed(&holding("1", FEWEST_BYTES)), 1.0).await;
}
