//! The loop that submits tasks together: what gathered during one transaction is the next one.
//!
//! A durable commit costs the same for one task as for many. Yet no task suffers from those beside
//! it: a batch that is refused is halved until the task at fault is alone, and is refused in the
//! words it would have been refused in by itself. One whose idempotency key another
//! transaction holds waits for that apart.

use std::sync::Arc;
use std::time::Duration;

use tasker_shared::announcer::Announcer;
use tasker_shared::channel::{Receiver, Weighed};
use tasker_shared::database::{Database, DedicatedConnection};
use tasker_shared::error::Error;
use tasker_shared::supervisor::Supervised;
use tasker_shared::tasks::{
    NewTask, Submission, Submitted, submit_and_enqueue, submit_tasks, submit_tasks_silently,
};
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::direct::{DirectWay, LOCK_TIMEOUT};
use super::{count, submit_apart};

/// Most tasks in one transaction; beyond that the commit is a small part of its cost.
const TASKS_PER_CALL: usize = 256;

/// How long such a task waits at a time, apart from the others, before it lets another one try.
const TURN: Duration = Duration::from_secs(1);

/// A call takes milliseconds. After this long the process at its other end may be frozen, and requests
/// wait behind it; where the server is slow, the next calls get more time.
const FROZEN_AFTER: Duration = Duration::from_secs(10);

/// Most tasks that wait apart, so that what their clients have long given up stays bounded.
const MOST_APART: usize = 1000;

/// A task, and where its requester waits for the answer.
pub(super) struct Waiting {
    pub(super) task: NewTask,
    pub(super) reply: oneshot::Sender<Answer>,
}

/// What a requester gets; several may have to get the same error.
type Answer = Result<Submitted, Arc<Error>>;

/// The loop with its state.
pub(super) struct Batches {
    database: Database,
    direct: DirectWay,
    connection: DedicatedConnection,
    submissions: Receiver<Waiting>,
    announcer: Announcer,
    /// Runs what waits apart.
    work: TaskTracker,
    /// A permit for each task that may wait apart.
    apart: Arc<Semaphore>,
    /// A permit for each that may do so at the same time, on a connection of the pool.
    turns: Arc<Semaphore>,
    stop: CancellationToken,
    /// The loop is work of its own.
    _work: TaskTrackerToken,
}

/// Tasks that are submitted by one call.
struct Part {
    submissions: Vec<Waiting>,
    /// How long it waits for locks; without limit where that is `None`.
    lock_timeout: Option<Duration>,
}

impl Weighed for Waiting {
    fn weight(&self) -> usize {
        size_of::<Self>() + self.task.weight()
    }
}

impl Batches {
    pub(super) fn new(
        database: Database,
        direct: DirectWay,
        submissions: Receiver<Waiting>,
        announcer: Announcer,
        work: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let connections = database.pool().options().get_max_connections();
        // The other half is for all other requests.
        let turns = usize::try_from(connections / 2).unwrap_or_default().max(1);
        Self {
            connection: database.dedicated().within(FROZEN_AFTER),
            database,
            direct,
            submissions,
            announcer,
            _work: work.token(),
            work,
            apart: Arc::new(Semaphore::new(MOST_APART)),
            turns: Arc::new(Semaphore::new(turns)),
            stop,
        }
    }

    /// What has gathered; `None` when there will be nothing more.
    async fn next(&mut self) -> Option<Vec<Waiting>> {
        let mut batch = Vec::new();
        let count = tokio::select! {
            biased;
            count = self.submissions.recv_many(&mut batch, TASKS_PER_CALL) => count,
            () = self.stop.cancelled() => 0,
        };
        (count > 0).then_some(batch)
    }

    async fn submit(&mut self, batch: Vec<Waiting>) {
        let mut parts = vec![Part {
            submissions: batch,
            lock_timeout: Some(LOCK_TIMEOUT),
        }];
        while let Some(part) = parts.pop() {
            let Part {
                mut submissions,
                lock_timeout,
            } = part;
            submissions.retain(|submission| !submission.reply.is_closed());
            if submissions.is_empty() {
                continue;
            }
            let (tasks, replies) = unzip(submissions);
            match self.call(&tasks, lock_timeout).await {
                Ok(submission) => self.submitted(&tasks, replies, submission).await,
                Err(Error::Locked { .. }) if lock_timeout.is_some() => {
                    let rest = self.set_apart(zip(tasks, replies));
                    parts.push(Part {
                        submissions: rest,
                        lock_timeout: None,
                    });
                }
                Err(error) if tasks.len() == 1 || concerns_all(&error) => tell_all(replies, error),
                Err(_) => parts.extend(halves(zip(tasks, replies), lock_timeout)),
            }
        }
    }

    /// One call, one transaction. A submission is not safe to repeat, so the connection is seen to
    /// live first, as the pool does.
    async fn call(
        &mut self,
        tasks: &[NewTask],
        lock_timeout: Option<Duration>,
    ) -> Result<Submission, Error> {
        if let (Some(enqueuing), Some(timeout)) = (self.direct.open(), lock_timeout) {
            let submission = self
                .connection
                .call_alive("submit_and_enqueue", async |connection| {
                    submit_and_enqueue(connection, tasks, enqueuing, timeout).await
                })
                .await?;
            if let Some(submission) = submission {
                self.direct.taken(submission.enqueued);
                return Ok(submission);
            }
            self.direct.close();
        }
        self.connection
            .call_alive("submit_tasks", async |connection| {
                if is_alone(tasks) {
                    let submitted = submit_tasks(connection, tasks).await?;
                    return Ok(Submission {
                        submitted,
                        ..Submission::default()
                    });
                }
                let submitted = submit_tasks_silently(connection, tasks, lock_timeout).await?;
                Ok(Submission::from(submitted))
            })
            .await
    }

    async fn submitted(
        &self,
        tasks: &[NewTask],
        replies: Vec<oneshot::Sender<Answer>>,
        submission: Submission,
    ) {
        count(tasks, &submission);
        for (reply, submitted) in replies.into_iter().zip(submission.submitted) {
            // A client that has gone away has its task all the same.
            let _ = reply.send(Ok(submitted));
        }
        self.announcer.announce(submission.announcements).await;
    }

    /// Lets those wait apart whose key another transaction may hold; returns the others.
    fn set_apart(&self, submissions: Vec<Waiting>) -> Vec<Waiting> {
        let mut rest = Vec::new();
        for submission in submissions {
            if submission.task.idempotency_key.is_none() {
                rest.push(submission);
            } else if let Ok(permit) = Arc::clone(&self.apart).try_acquire_owned() {
                let (database, announcer) = (self.database.clone(), self.announcer.clone());
                let direct = self.direct.clone();
                let turns = Arc::clone(&self.turns);
                self.work.spawn(async move {
                    let _permit = permit;
                    submit_by_turns(&database, &direct, &turns, submission, &announcer).await;
                });
            } else {
                let message = "too many tasks wait for keys that others hold".to_owned();
                tell_all(vec![submission.reply], Error::Locked { message });
            }
        }
        rest
    }
}

/// Submits one task as soon as nobody else holds its key, for as long as its requester waits.
async fn submit_by_turns(
    database: &Database,
    direct: &DirectWay,
    turns: &Semaphore,
    Waiting { task, reply }: Waiting,
    announcer: &Announcer,
) {
    let tasks = [task];
    let result = loop {
        let _turn = turns.acquire().await;
        if reply.is_closed() {
            return;
        }
        match submit_apart(database, direct, &tasks, Some(TURN)).await {
            Err(Error::Locked { .. }) => {}
            result => break result,
        }
    };
    match result {
        Err(error) => tell_all(vec![reply], error),
        Ok(submission) => {
            let first = submission.submitted.first().copied();
            let _ = first.map(|it| reply.send(Ok(it)));
            announcer.announce(submission.announcements).await;
        }
    }
}

impl Supervised for Batches {
    const NAME: &'static str = "web_submitter";

    async fn run(&mut self) {
        while let Some(batch) = self.next().await {
            self.submit(batch).await;
        }
    }
}

/// Whether the trigger announces the task with its commit, which is soonest: a commit that notifies
/// holds up others, but here there are none. One with a key could wait for it, and goes silently.
const fn is_alone(tasks: &[NewTask]) -> bool {
    matches!(tasks, [task] if task.idempotency_key.is_none())
}

/// Whether the error says nothing about a single task.
const fn concerns_all(error: &Error) -> bool {
    error.is_transient() || matches!(error, Error::Schema(_))
}

fn tell_all(replies: Vec<oneshot::Sender<Answer>>, error: Error) {
    let error = Arc::new(error);
    for reply in replies {
        let _ = reply.send(Err(Arc::clone(&error)));
    }
}

/// Both halves, the first one last, because the last part is next.
fn halves(mut submissions: Vec<Waiting>, lock_timeout: Option<Duration>) -> [Part; 2] {
    let second = submissions.split_off(submissions.len() / 2);
    [second, submissions].map(|submissions| Part {
        submissions,
        lock_timeout,
    })
}

fn unzip(submissions: Vec<Waiting>) -> (Vec<NewTask>, Vec<oneshot::Sender<Answer>>) {
    submissions
        .into_iter()
        .map(|it| (it.task, it.reply))
        .unzip()
}

fn zip(tasks: Vec<NewTask>, replies: Vec<oneshot::Sender<Answer>>) -> Vec<Waiting> {
    let both = tasks.into_iter().zip(replies);
    both.map(|(task, reply)| Waiting { task, reply }).collect()
}
