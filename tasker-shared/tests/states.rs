//! The states of tasks and steps, in SQL and in Rust.

#![allow(clippy::unwrap_used)]

#[path = "support/moves.rs"]
mod moves;
mod support;

use std::fmt::Display;

use moves::{StepEvent, TaskEvent, step_after, task_after};
use support::World;
use tasker_shared::state::{StepState, TaskState};

/// Every pair of states, and whether an event leads from the one to the other.
fn pairs<S: Copy + PartialEq, E: Copy>(
    states: &[S],
    events: &[E],
    after: impl Fn(S, E) -> Option<S>,
) -> Vec<(S, S, bool)> {
    let mut pairs = Vec::new();
    for &from in states {
        for &to in states {
            let legal = events.iter().any(|&event| after(from, event) == Some(to));
            pairs.push((from, to, legal));
        }
    }
    pairs
}

fn task_pairs() -> Vec<(TaskState, TaskState, bool)> {
    pairs(TaskState::ALL, TaskEvent::ALL, task_after)
}

fn step_pairs() -> Vec<(StepState, StepState, bool)> {
    pairs(StepState::ALL, StepEvent::ALL, step_after)
}

/// The pairs about which SQL and Rust disagree.
async fn disagreements<S: Copy + Display>(
    world: &mut World,
    function: &str,
    pairs: &[(S, S, bool)],
) -> Vec<String> {
    let mut found = Vec::new();
    for (from, to, legal) in pairs {
        let sql: bool = world
            .value(format!("select tasker.{function}('{from}', '{to}')"))
            .await;
        if sql != *legal {
            found.push(format!("{from} to {to}: {sql} in SQL, {legal} in Rust"));
        }
    }
    found
}

/// The pairs that a log takes or refuses against what Rust says, each in a transaction undone.
async fn wrongly_logged<S: Copy + Display>(
    world: &mut World,
    insert: &str,
    pairs: &[(S, S, bool)],
) -> Vec<String> {
    let mut found = Vec::new();
    for (from, to, legal) in pairs {
        world.run("begin").await;
        let sql = format!("{insert}, '{from}', '{to}')");
        let taken = sqlx::query(sqlx::AssertSqlSafe(sql))
            .execute(&mut world.connection)
            .await;
        world.run("rollback").await;
        let as_expected = match &taken {
            Ok(_) => *legal,
            Err(error) => {
                let constraint = error.as_database_error().and_then(|e| e.constraint());
                !*legal && constraint.is_some_and(|name| name.ends_with("_moves_legally"))
            }
        };
        if !as_expected {
            found.push(format!("{from} to {to}: {taken:?}, legal in Rust: {legal}"));
        }
    }
    found
}

#[tokio::test]
async fn sql_and_rust_agree_on_every_transition_of_a_task() {
    let mut world = World::new().await;

    let found = disagreements(&mut world, "task_may_move", &task_pairs()).await;

    assert_eq!(found, Vec::<String>::new());
    assert_eq!(task_pairs().iter().filter(|pair| pair.2).count(), 8);
}

#[tokio::test]
async fn sql_and_rust_agree_on_every_transition_of_a_step() {
    let mut world = World::new().await;

    let found = disagreements(&mut world, "step_may_move", &step_pairs()).await;

    assert_eq!(found, Vec::<String>::new());
    assert_eq!(step_pairs().iter().filter(|pair| pair.2).count(), 21);
}

#[tokio::test]
async fn the_log_of_tasks_takes_exactly_the_legal_moves() {
    let mut world = World::new().await;
    let insert = "insert into tasker.task_transitions (task_uuid, at, from_state, to_state)
        values (gen_random_uuid(), now()";

    let found = wrongly_logged(&mut world, insert, &task_pairs()).await;

    assert_eq!(found, Vec::<String>::new());
}

#[tokio::test]
async fn the_log_of_steps_takes_exactly_the_legal_moves() {
    let mut world = World::new().await;
    let insert = "insert into tasker.step_log
        (task_uuid, at, step_no, attempt, from_state, to_state)
        values (gen_random_uuid(), now(), 1, 1";

    let found = wrongly_logged(&mut world, insert, &step_pairs()).await;

    assert_eq!(found, Vec::<String>::new());
}

#[tokio::test]
async fn states_have_the_same_names_and_order_in_sql_and_rust() {
    let mut world = World::new().await;

    let tasks: Vec<String> = world
        .value("select enum_range(null::tasker.task_state)::text[]")
        .await;
    let steps: Vec<String> = world
        .value("select enum_range(null::tasker.step_state)::text[]")
        .await;

    let in_rust: Vec<_> = TaskState::ALL.iter().map(|state| state.as_str()).collect();
    assert_eq!(tasks, in_rust);
    let in_rust: Vec<_> = StepState::ALL.iter().map(|state| state.as_str()).collect();
    assert_eq!(steps, in_rust);
}

#[test]
fn a_state_is_read_from_what_it_is_written_as_and_from_nothing_else() {
    for state in StepState::ALL {
        assert_eq!(state.to_string().parse(), Ok(*state));
        let json = serde_json::to_value(state).unwrap();
        assert_eq!(json, state.as_str());
    }
    for state in TaskState::ALL {
        assert_eq!(state.to_string().parse(), Ok(*state));
        let json = serde_json::to_value(state).unwrap();
        assert_eq!(json, state.as_str());
    }
    assert!("Complete".parse::<TaskState>().is_err());
    assert!("".parse::<StepState>().is_err());
}

#[test]
fn a_state_that_ended_well_leads_nowhere() {
    for (from, to, legal) in step_pairs() {
        let revivable = from == StepState::Error;
        assert!(!(legal && from.is_terminal() && !revivable), "{from} {to}");
    }
    for (from, to, legal) in task_pairs() {
        let revivable = from == TaskState::Error;
        assert!(!(legal && from.is_terminal() && !revivable), "{from} {to}");
    }
}
