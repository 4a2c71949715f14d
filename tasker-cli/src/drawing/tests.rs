//! Drawings of the graphs that people have.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tasker_shared::ids::TaskUuid;
use tasker_shared::state::{StepState, TaskState};
use tasker_shared::tasks::{StepDetail, TaskDetail, TaskSummary, WaitsFor};
use uuid::Uuid;

use super::{Extent, Style, graph, time_of, title};

const PLAIN: Style = Style {
    utf8: true,
    colour: false,
    width: None,
};

const FOLDED: Extent = Extent::Folded { most_lines: 60 };

fn at(millis: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::milliseconds(millis)
}

/// A step that took 12 ms if it ended.
fn step(name: &str, state: StepState, depends_on: &[&str]) -> StepDetail {
    let ran = !matches!(
        state,
        StepState::Pending | StepState::Enqueued | StepState::Cancelled
    );
    StepDetail {
        input: serde_json::Value::Null,
        name: name.to_owned(),
        step_uuid: Uuid::nil(),
        state,
        handler: "builtin.noop".to_owned(),
        depends_on: depends_on.iter().map(|&name| name.to_owned()).collect(),
        attempts: i32::from(ran),
        max_attempts: 3,
        result: None,
        result_bytes: 0,
        error: None,
        worker: None,
        enqueued_at: None,
        started_at: ran.then(|| at(100)),
        finished_at: (ran && state.is_terminal()).then(|| at(112)),
        retry_at: None,
        waits_for: None,
    }
}

fn task(state: TaskState, steps: Vec<StepDetail>) -> TaskDetail {
    TaskDetail {
        summary: TaskSummary {
            task_uuid: TaskUuid(Uuid::nil()),
            namespace: "shop".to_owned(),
            name: "order".to_owned(),
            version: "1.0.0".to_owned(),
            state,
            priority: 0,
            created_at: at(0),
            started_at: None,
            finished_at: state.is_terminal().then(|| at(1_240)),
            waits_for: None,
        },
        context: Value::Null,
        idempotency_key: None,
        reason: None,
        execution_status: String::new(),
        results_omitted: false,
        steps,
    }
}

fn drawn(steps: Vec<StepDetail>, style: Style, extent: Extent) -> String {
    let lines = graph(&task(TaskState::InProgress, steps), at(600), style, extent);
    lines.join("\n") + "\n"
}

fn diamond() -> Vec<StepDetail> {
    use StepState::{Complete, InProgress, Pending, WaitingForRetry};
    let mut charge = step("charge", WaitingForRetry, &["validate"]);
    charge.retry_at = Some(at(1_400));
    charge.error = Some(json!({ "kind": "handler_failed", "message": "the bank\nis closed" }));
    vec![
        step("validate", Complete, &[]),
        step("reserve", InProgress, &["validate"]),
        charge,
        step("ship", Pending, &["reserve", "charge"]),
    ]
}

#[test]
fn a_step_that_no_worker_can_run_says_so_alone_and_among_others() {
    let waiting = |name: &str, depends_on: &[&str]| StepDetail {
        handler: "late.one".to_owned(),
        waits_for: Some(WaitsFor::WorkerForHandler),
        ..step(name, StepState::Enqueued, depends_on)
    };
    let note = "no worker knows the handler 'late.one'";
    let alone = task(TaskState::InProgress, vec![waiting("only", &[])]);
    let lines = graph(&alone, at(0), PLAIN, FOLDED);
    assert!(lines[0].ends_with(note), "{lines:#?}");

    let mut steps = vec![step("first", StepState::Complete, &[])];
    steps.extend((0..50).map(|number| waiting(&format!("side_{number}"), &["first"])));
    let many = task(TaskState::InProgress, steps);
    let lines = graph(&many, at(0), PLAIN, FOLDED);
    assert!(lines.len() < 10, "{lines:#?}");
    assert!(lines.iter().any(|line| line.ends_with(note)), "{lines:#?}");
}

#[test]
fn a_diamond_shows_states_attempts_times_and_retries() {
    assert_eq!(
        drawn(diamond(), PLAIN, FOLDED),
        "\
●   validate  complete           1/3  12 ms
├─╮
│ ◐ reserve   in_progress        1/3  500 ms
↻ │ charge    waiting_for_retry  1/3          retry in 800 ms · handler_failed: the bank is closed
├─╯
○   ship      pending
"
    );
}

#[test]
fn a_step_that_was_settled_by_hand_shows_no_time_that_nobody_worked() {
    let skipped = step("charge", StepState::Skipped, &[]);
    assert!(skipped.started_at.is_some() && skipped.finished_at.is_some());
    assert_eq!(time_of(&skipped, at(600)), None);
    let resolved = step("charge", StepState::ResolvedManually, &[]);
    assert_eq!(time_of(&resolved, at(600)), None);
}

#[test]
fn ascii_is_enough() {
    let style = Style {
        utf8: false,
        ..PLAIN
    };
    assert_eq!(
        drawn(diamond(), style, FOLDED),
        "\
*   validate  complete           1/3  12 ms
+-.
| > reserve   in_progress        1/3  500 ms
r | charge    waiting_for_retry  1/3          retry in 800 ms, handler_failed: the bank is closed
+-'
o   ship      pending
"
    );
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    let style = Style {
        width: Some(40),
        ..PLAIN
    };
    assert_eq!(
        drawn(diamond(), style, FOLDED),
        "\
●   validate  complete           1/3  1…
├─╮
│ ◐ reserve   in_progress        1/3  5…
↻ │ charge    waiting_for_retry  1/3
├─╯
○   ship      pending
"
    );
}

#[test]
fn colours_change_no_character() {
    let style = Style {
        colour: true,
        ..PLAIN
    };
    let mut plain = String::new();
    for part in drawn(diamond(), style, FOLDED).split('\x1b') {
        plain.push_str(match part.strip_prefix('[') {
            Some(rest) => rest.split_once('m').map_or("", |(_, rest)| rest),
            None => part,
        });
    }
    assert_eq!(plain, drawn(diamond(), PLAIN, FOLDED));
}

/// One step, then `width` beside each other, then one.
fn wide(width: usize, state_of: impl Fn(usize) -> StepState) -> Vec<StepDetail> {
    let branches: Vec<String> = (1..=width).map(|n| format!("branch_{n:03}")).collect();
    let names: Vec<&str> = branches.iter().map(String::as_str).collect();
    let mut steps = vec![step("start", StepState::Complete, &[])];
    steps.extend((0..width).map(|n| step(names[n], state_of(n), &["start"])));
    steps.push(step("end", StepState::Pending, &names));
    steps
}

#[test]
fn a_hundred_steps_beside_each_other_are_counted() {
    let steps = wide(100, |n| match n {
        0..60 => StepState::Complete,
        60..63 => StepState::InProgress,
        _ => StepState::Pending,
    });
    assert_eq!(
        drawn(steps, PLAIN, FOLDED),
        "\
● start                           complete  1/3  12 ms
◐ branch_001 … branch_100 (×100)  37 pending, 3 in_progress, 60 complete
○ end                             pending
"
    );
}

#[test]
fn what_failed_among_a_hundred_is_shown_by_itself() {
    let steps = wide(100, |n| match n {
        41 => StepState::Error,
        _ => StepState::Complete,
    });
    assert_eq!(
        drawn(steps, PLAIN, FOLDED),
        "\
●   start                          complete  1/3  12 ms
├─╮
│ ● branch_001 … branch_100 (×99)  99 complete
✖ │ branch_042                     error     1/3  12 ms
├─╯
○   end                            pending
"
    );
}

#[test]
fn every_step_is_listed_with_its_parents_where_lanes_do_not_fit() {
    let text = drawn(wide(100, |_| StepState::Pending), PLAIN, Extent::All);
    assert_eq!(text.lines().count(), 102);
    assert!(
        text.lines()
            .any(|line| line == "○ branch_007  pending               after start"),
        "{text}"
    );
    assert!(
        text.ends_with("after branch_001, branch_002, branch_003 and 97 more\n"),
        "{text}"
    );
}

fn deep(depth: usize, done: usize) -> Vec<StepDetail> {
    let names: Vec<String> = (1..=depth).map(|n| format!("step_{n:03}")).collect();
    let state = |n: usize| match n.cmp(&done) {
        std::cmp::Ordering::Less => StepState::Complete,
        std::cmp::Ordering::Equal => StepState::InProgress,
        std::cmp::Ordering::Greater => StepState::Pending,
    };
    (0..depth)
        .map(|n| match n.checked_sub(1) {
            Some(parent) => step(&names[n], state(n), &[names[parent].as_str()]),
            None => step(&names[n], state(n), &[]),
        })
        .collect()
}

#[test]
fn a_chain_of_a_hundred_shows_where_it_stands() {
    assert_eq!(
        drawn(deep(100, 57), PLAIN, FOLDED),
        "\
● step_001                   complete     1/3  12 ms
● step_002 … step_056 (×55)  55 complete
● step_057                   complete     1/3  12 ms
◐ step_058                   in_progress  1/3  500 ms
○ step_059                   pending
○ step_060 … step_099 (×40)  40 pending
○ step_100                   pending
"
    );
}

#[test]
fn a_short_chain_is_drawn_whole() {
    assert_eq!(drawn(deep(60, 57), PLAIN, FOLDED).lines().count(), 60);
}

#[test]
fn a_title_says_which_task_it_is_and_how_it_stands() {
    let nil = Uuid::nil();
    assert_eq!(
        title(&task(TaskState::Complete, Vec::new()), at(9_000), PLAIN),
        format!("{nil} · shop/order@1.0.0 · complete after 1.24 s")
    );
    assert_eq!(
        title(&task(TaskState::InProgress, Vec::new()), at(9_000), PLAIN),
        format!("{nil} · shop/order@1.0.0 · in_progress for 9 s")
    );
}

#[test]
fn a_name_from_elsewhere_cannot_break_the_drawing() {
    let mut failed = step("pay", StepState::Error, &[]);
    failed.error = Some(json!({ "kind": "panic", "message": "\x1b[31mred\nlines" }));
    assert_eq!(
        drawn(vec![failed], PLAIN, FOLDED),
        "✖ pay  error  1/3  12 ms  panic: [31mred lines\n"
    );
}
