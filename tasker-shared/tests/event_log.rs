//! What happened, as it is read from the logs of transitions.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::json;
use sqlx::PgConnection;
use support::{DIAMOND, SINGLE, World, act, complete, fail, given_back, retry};
use tasker_shared::events::{EventLog, LifecycleEvent, Moved};
use tasker_shared::ids::TaskUuid;
use tasker_shared::operator::{Action, Settlement};
use tasker_shared::state::TaskState;
use tasker_shared::steps::{Continuation, complete_and_continue, release_steps};
use tasker_shared::tasks::submit_tasks;
use tasker_testing::{WAIT_TIMEOUT, wait_until};

const WIDTH: usize = 1000;

/// A reader on a connection of its own.
struct Reader {
    connection: PgConnection,
    log: EventLog,
}

impl Reader {
    async fn open(world: &World) -> Self {
        Self::with_width(world, WIDTH).await
    }

    async fn with_width(world: &World, width: usize) -> Self {
        let mut connection = world.db.connect().await;
        let log = EventLog::open(&mut connection, width).await.unwrap();
        Self { connection, log }
    }

    /// The names of what happened, each step's with its name.
    async fn news(&mut self) -> Vec<String> {
        let events = self.events().await;
        events.iter().map(described).collect()
    }

    /// The tasks that were cancelled.
    async fn cancelled(&mut self) -> Vec<TaskUuid> {
        let events = self.events().await.into_iter();
        let cancelled = Moved::Task {
            from: Some(TaskState::Pending),
            to: TaskState::Cancelled,
        };
        let cancelled = events.filter(|event| event.moved == cancelled);
        cancelled.map(|event| event.task_uuid).collect()
    }

    async fn events(&mut self) -> Vec<LifecycleEvent> {
        let news = self.log.next(&mut self.connection).await.unwrap();
        assert_eq!(news.missed, None);
        assert!(!news.is_behind);
        news.events
    }
}

fn described(event: &LifecycleEvent) -> String {
    let name = event.occurrence();
    match &event.moved {
        Moved::Task { to, .. } => format!("{name} {to}"),
        Moved::Step { name: step, .. } => format!("{name} {step}"),
    }
}

#[tokio::test]
async fn a_task_is_followed_from_its_submission_to_its_end() {
    let mut world = World::new().await;
    world.template("two", &[("a", &[]), ("b", &["a"])]).await;
    let mut reader = Reader::open(&world).await;

    let task = world.submit("two").await;
    assert_eq!(reader.news().await, ["task_submitted pending"]);
    let first = world.start_one().await;
    let started = reader.events().await;
    assert_eq!(
        started.iter().map(described).collect::<Vec<_>>(),
        [
            "task_started in_progress",
            "step_enqueued a",
            "step_started a"
        ]
    );
    world.report(&[retry(&first)]).await;
    let failed = reader.events().await.remove(0);
    assert_eq!(
        serde_json::to_value(&failed).unwrap(),
        json!({
            "event": "step_failed",
            "at": failed.at,
            "task_uuid": task,
            "namespace": "test",
            "template": "test/two@1.0.0",
            "step": "a",
            "step_uuid": first.id.step_uuid(),
            "attempt": 1,
            "from_state": "in_progress",
            "to_state": "waiting_for_retry",
            "retryable": true,
            "actor": support::WORKER,
            "error": "handler_failed",
        })
    );
    world.operate(task, Action::RetryStep("a")).await;
    let second = world.start_one().await;
    let continuation = Continuation {
        may_continue: vec![true],
        handlers: &["builtin.noop".to_owned()],
        lease: support::LEASE,
    };
    let reports = [complete(&second)];
    let reported = complete_and_continue(
        &mut world.connection,
        support::WORKER,
        &reports,
        &continuation,
        tasker_shared::steps::Locks::Wait,
    )
    .await
    .unwrap();
    world.report(&[complete(&reported.continued[0])]).await;
    let news = reader.news().await;
    // A step that is handed on may be logged as enqueued for a moment.
    let told: Vec<_> = news
        .iter()
        .filter(|told| *told != "step_enqueued b")
        .collect();
    assert_eq!(
        told,
        [
            "step_enqueued a",
            "step_started a",
            "step_completed a",
            "step_started b",
            "step_completed b",
            "task_finished complete"
        ]
    );
    assert!(reader.news().await.is_empty(), "nothing is told twice");
}

#[tokio::test]
async fn what_operators_do_is_told_too() {
    let mut world = World::new().await;
    world.template("diamond", DIAMOND).await;
    let task = world.submit("diamond").await;
    let step = world.start_one().await;
    let mut reader = Reader::open(&world).await;
    assert!(reader.news().await.is_empty(), "what was before is no news");

    let back = given_back(&step);
    let connection = &mut world.connection;
    release_steps(connection, support::WORKER, &[back])
        .await
        .unwrap();
    assert_eq!(reader.news().await, ["step_released a"]);
    let step = world.receive().await.remove(0);
    world.report(&[fail(&step)]).await;
    assert_eq!(
        reader.news().await,
        ["step_started a", "step_failed a", "task_finished error"]
    );
    let connection = &mut world.connection;
    let why = Some("card renewed");
    Action::RetryStep("a")
        .carry_out(connection, task, "me", why)
        .await
        .unwrap();
    let events = reader.events().await;
    assert_eq!(
        events.iter().map(described).collect::<Vec<_>>(),
        ["task_reopened in_progress", "step_reopened a"]
    );
    assert_eq!(events[0].reason.as_deref(), why);
    let connection = &mut world.connection;
    let skip = Settlement::Skip(json!(null));
    act(connection, task, Action::SettleStep("a", &skip))
        .await
        .unwrap();
    let resolve = Settlement::Resolve(json!(1));
    act(connection, task, Action::SettleStep("b", &resolve))
        .await
        .unwrap();
    act(connection, task, Action::CancelTask).await.unwrap();
    let mut news = reader.news().await;
    assert_eq!(news.pop().unwrap(), "task_finished cancelled");
    news.sort();
    assert_eq!(
        news,
        [
            "step_cancelled c",
            "step_cancelled d",
            "step_resolved b",
            "step_skipped a"
        ]
    );
}

#[tokio::test]
async fn what_is_committed_late_is_told_late_and_what_is_rolled_back_never() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let mut tasks = Vec::new();
    for _ in 0..4 {
        tasks.push(world.submit("single").await);
    }
    let mut early = world.begin().await;
    cancel(&mut early, tasks[0]).await;
    // The reader begins while that transaction runs.
    let mut reader = Reader::open(&world).await;
    let (mut late, mut never) = (world.begin().await, world.begin().await);
    cancel(&mut late, tasks[1]).await;
    cancel(&mut never, tasks[2]).await;
    cancel(&mut world.connection, tasks[3]).await;

    assert_eq!(reader.cancelled().await, [tasks[3]]);
    never.rollback().await.unwrap();
    for _ in 0..3 {
        assert!(reader.cancelled().await.is_empty());
    }
    late.commit().await.unwrap();
    assert_eq!(reader.cancelled().await, [tasks[1]]);
    early.commit().await.unwrap();
    assert_eq!(reader.cancelled().await, [tasks[0]]);
    // As long as a transaction of any database runs that could have drawn them.
    wait_until("no number is waited for", WAIT_TIMEOUT, async || {
        assert!(reader.cancelled().await.is_empty());
        format!("{:?}", reader.log).matches("missing: {}").count() == 2
    })
    .await;
}

#[tokio::test]
async fn a_submission_that_is_committed_a_little_late_is_told() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let mut reader = Reader::open(&world).await;
    let mut late = world.begin().await;
    let task = support::new_task("single");
    submit_tasks(&mut late, std::slice::from_ref(&task))
        .await
        .unwrap();
    world.submit("single").await;
    assert_eq!(reader.news().await, ["task_submitted pending"]);
    assert!(reader.news().await.is_empty());

    late.commit().await.unwrap();

    assert_eq!(reader.news().await, ["task_submitted pending"]);
}

#[tokio::test]
async fn more_than_is_read_at_once_is_read_in_turn() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let mut reader = Reader::with_width(&world, 2).await;
    for _ in 0..5 {
        world.submit("single").await;
    }
    world.run_all().await;
    let mut told = Vec::new();
    loop {
        let news = reader.log.next(&mut reader.connection).await.unwrap();
        assert_eq!(news.missed, None);
        told.extend(news.events.iter().map(described));
        if !news.is_behind {
            break;
        }
    }
    told.sort();
    told.dedup_by(|one, other| one == other);
    assert_eq!(
        told,
        [
            "step_completed only",
            "step_enqueued only",
            "step_started only",
            "task_finished complete",
            "task_started in_progress",
            "task_submitted pending"
        ]
    );
}

#[tokio::test]
async fn a_reader_that_is_far_behind_goes_on_at_the_end_and_says_what_it_left_out() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let task = world.submit("single").await;
    let mut reader = Reader::open(&world).await;
    log_moves(&mut world, 100_001).await;

    let news = reader.log.next(&mut reader.connection).await.unwrap();

    assert_eq!(news.missed, Some(100_001));
    assert!(news.events.is_empty() && !news.is_behind);
    cancel(&mut world.connection, task).await;
    assert_eq!(reader.cancelled().await, [task]);
}

#[tokio::test]
async fn a_crash_of_the_server_that_is_not_restarted_is_told() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let mut reader = Reader::open(&world).await;
    assert_eq!(reader.events().await, []);

    world.run("truncate tasker.queues_intact").await;
    world.claim().await;

    let news = reader.log.next(&mut reader.connection).await.unwrap();
    assert_eq!(news.missed, Some(0));
    assert_eq!(reader.events().await, []);
}

#[tokio::test]
async fn indexes_are_brought_up_to_date_while_the_log_is_followed() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    world.submit("single").await;
    let mut reader = Reader::open(&world).await;
    log_moves(&mut world, 20_000).await;
    reader.log.summarize(&mut reader.connection).await.unwrap();

    let left: i32 = world
        .value("select brin_summarize_new_values('tasker.step_transitions_by_ranges')")
        .await;

    assert_eq!(left, 0, "ranges that nobody had summarized");
}

/// So many moves of the step of the only task, in the log alone.
async fn log_moves(world: &mut World, moves: i64) {
    world
        .run(format!(
            "insert into tasker.step_log
               (task_uuid, at, step_no, attempt, from_state, to_state)
             select task_uuid, now(), 1, n, 'enqueued', 'in_progress'
             from tasker.tasks, generate_series(1, {moves}) n"
        ))
        .await;
}

async fn cancel(connection: &mut PgConnection, task: TaskUuid) {
    act(connection, task, Action::CancelTask).await.unwrap();
}
