//! Submits tasks for requests, and announces them once they are committed.
//!
//! Small tasks that come alone wait for the loop in [`batches`], which submits what has gathered in
//! one transaction. Batches and large tasks go apart, each on a connection of the pool, in a task
//! of their own: a client that goes away in the middle does not keep them from being announced.

mod batches;
mod direct;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tasker_shared::announcements::Announcements;
use tasker_shared::announcer::Announcer;
use tasker_shared::channel::{self, ChannelSpec, NotSent, Sender, Weighed};
use tasker_shared::config::TaskerConfig;
use tasker_shared::database::Database;
use tasker_shared::error::Error;
use tasker_shared::supervisor::Supervisor;
use tasker_shared::tasks::{
    NewTask, Submission, Submitted, submit_and_enqueue, submit_tasks_silently,
};
use tasker_shared::telemetry::metrics;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, warn};

use crate::limits::BodyShare;
use crate::problem::{Kind, Problem};
use batches::{Batches, Waiting};
use direct::{DirectWay, LOCK_TIMEOUT};

pub use direct::OrchestratorBeside;

/// The part of the product that this is, in the names of channels.
const COMPONENT: &str = "web";

/// Tasks that weigh more go apart: a transaction of their own costs them little, and checking their
/// context would hold up the others.
const MOST_GATHERED_BYTES: usize = 64 * 1024;

/// The handle through which requests submit; clones share one loop and one announcer.
#[derive(Clone)]
pub(crate) struct Submitter(Arc<Parts>);

struct Parts {
    database: Database,
    direct: DirectWay,
    submissions: Sender<Waiting>,
    /// Ends the loop, when nothing is left.
    stop: CancellationToken,
    /// The loop, and what goes apart.
    work: TaskTracker,
    /// Gone when the submitter was closed.
    announcer: Mutex<Option<Announcer>>,
}

impl Submitter {
    /// Starts the loop and the announcer. To be called in a runtime.
    pub(crate) fn start(
        loops: &mut Supervisor,
        database: &Database,
        config: &TaskerConfig,
        orchestrator: Option<OrchestratorBeside>,
    ) -> Self {
        let channels = &config.mpsc_channels;
        let announcer = Announcer::start(
            database,
            COMPONENT,
            channels,
            &config.event_systems.supervisor,
        );
        let buffer = &channels.web.submissions;
        let (submissions, received) = channel::bounded_by_bytes(
            ChannelSpec {
                name: "submissions",
                component: COMPONENT,
                capacity: buffer.submission_buffer_size,
            },
            buffer.submission_buffer_bytes,
        );
        let direct = DirectWay::new(orchestrator);
        let (stop, work) = (CancellationToken::new(), TaskTracker::new());
        loops.start(Batches::new(
            database.clone(),
            direct.clone(),
            received,
            announcer.clone(),
            work.clone(),
            stop.clone(),
        ));
        Self(Arc::new(Parts {
            database: database.clone(),
            direct,
            submissions,
            stop,
            work,
            announcer: Mutex::new(Some(announcer)),
        }))
    }

    /// Submits one task, together with others that come at the same time.
    pub(crate) async fn submit(
        &self,
        task: NewTask,
        share: BodyShare,
    ) -> Result<Submitted, Problem> {
        if task.weight() > MOST_GATHERED_BYTES {
            let submitted = self.submit_all(vec![task], share).await?;
            return submitted.first().copied().ok_or_else(|| lost("no answer"));
        }
        let (reply, answer) = oneshot::channel();
        self.0
            .submissions
            .try_send(Waiting { task, reply })
            .map_err(|error| no_room(&error))?;
        let answer = answer.await.map_err(lost)?;
        answer.map_err(|error| Problem::from(&*error))
    }

    /// Submits tasks, all or none.
    pub(crate) async fn submit_all(
        &self,
        tasks: Vec<NewTask>,
        share: BodyShare,
    ) -> Result<Vec<Submitted>, Problem> {
        let (reply, answer) = oneshot::channel();
        let (database, direct) = (self.0.database.clone(), self.0.direct.clone());
        let announcer = self.0.announcer().clone();
        let apart = async move {
            let result = submit_apart(&database, &direct, &tasks, None).await;
            drop((tasks, share));
            let (announcements, answer) = match result {
                Ok(submission) => (submission.announcements, Ok(submission.submitted)),
                Err(error) => (Announcements::default(), Err(error)),
            };
            // A client that has gone away has its tasks all the same.
            let _ = reply.send(answer);
            if let Some(announcer) = announcer {
                announcer.announce(announcements).await;
            } else {
                warn!("tasks are not announced because the server has stopped; polling finds them");
            }
        };
        self.0.work.spawn(apart.in_current_span());
        Ok(answer.await.map_err(lost)??)
    }

    /// Whether what is submitted is announced, as it is until the submitter is closed.
    pub(crate) fn announces(&self) -> bool {
        let announcer = self.0.announcer();
        announcer.as_ref().is_some_and(Announcer::is_running)
    }

    /// How many tasks wait for the next transaction.
    pub(crate) fn waiting(&self) -> usize {
        self.0.submissions.len()
    }

    /// Returns when all that was taken on is submitted, answered and announced.
    pub(crate) async fn close(&self) {
        self.0.stop.cancel();
        self.0.work.close();
        self.0.work.wait().await;
        let announcer = self.0.announcer().take();
        if let Some(announcer) = announcer {
            announcer.close().await;
        }
    }
}

impl Parts {
    fn announcer(&self) -> MutexGuard<'_, Option<Announcer>> {
        self.announcer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Submits on a connection of the pool, waiting for what another transaction holds; no longer than
/// `lock_timeout`, where there is one.
async fn submit_apart(
    database: &Database,
    direct: &DirectWay,
    tasks: &[NewTask],
    lock_timeout: Option<Duration>,
) -> Result<Submission, Error> {
    if let Some(enqueuing) = direct.open() {
        let timeout = lock_timeout.unwrap_or(LOCK_TIMEOUT).min(LOCK_TIMEOUT);
        let submission = database
            .call("submit_and_enqueue", async |connection| {
                submit_and_enqueue(connection, tasks, enqueuing, timeout).await
            })
            .await;
        match submission {
            Ok(Some(submission)) => {
                direct.taken(submission.enqueued);
                count(tasks, &submission);
                return Ok(submission);
            }
            Ok(None) => direct.close(),
            // Many that write at once wait that long for a table to grow. The other way waits longer.
            Err(Error::Locked { .. }) if lock_timeout.is_none() => {}
            Err(error) => return Err(error),
        }
    }
    let submitted = database
        .call("submit_tasks", async |connection| {
            submit_tasks_silently(connection, tasks, lock_timeout).await
        })
        .await?;
    let submission = Submission::from(submitted);
    count(tasks, &submission);
    Ok(submission)
}

fn count(tasks: &[NewTask], submission: &Submission) {
    let mut created: BTreeMap<&str, u64> = BTreeMap::new();
    for (task, submitted) in tasks.iter().zip(&submission.submitted) {
        if submitted.created {
            *created.entry(&task.namespace).or_default() += 1;
        }
    }
    for (namespace, count) in created {
        metrics().tasks_submitted(namespace, count);
    }
    metrics().tasks_enqueued_on_submission(submission.enqueued);
}

fn no_room<T>(error: &NotSent<T>) -> Problem {
    let detail = match error {
        NotSent::Closed(_) => "the server is stopping",
        _ => "as many tasks wait to be submitted as this server takes",
    };
    Problem::new(Kind::TooManyRequests, detail)
        .hint("try again; mpsc_channels.web.submissions has the limits")
}

/// The answer where the loop that was to give it panicked.
fn lost(cause: impl std::fmt::Display) -> Problem {
    Problem::internal(format!("a submission was not answered: {cause}"))
}
