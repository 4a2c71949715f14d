//! Tells open pages that what they show has changed (server-sent events).
//!
//! What it sends is a hint: a page that hears it fetches itself again. One loop looks for all pages of
//! the process, and only while there are any.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{ConnectInfo, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::unfold;
use serde::Deserialize;
use tasker_shared::database::Database;
use tasker_shared::error::Error;
use tasker_shared::ids::TaskUuid;
use tasker_shared::outage::Outage;
use tasker_shared::supervisor::{Supervised, Supervisor};
use tasker_shared::tasks::change_marks;
use tasker_shared::telemetry::metrics;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::connection::Carries;
use crate::events::{KEEP_ALIVE, NO_BUFFERING};
use crate::extract::Params;
use crate::problem::{Kind, Problem};
use crate::state::WebState;
use crate::tasks::parse_task_uuid;

/// Time between two looks at the tasks that pages show.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Looks between two hints to pages that show more than one task.
const LOOKS_PER_HINT: u32 = 2;

/// The loop rests this many times as long as a look took.
const REST: u32 = 9;

/// Most pages that are kept current by one process.
const MOST_PAGES: usize = 1000;

/// What a page shows: one task, or more than that.
type Topic = Option<TaskUuid>;

/// The pages that are open; clones share them.
#[derive(Clone, Default)]
pub(crate) struct LivePages {
    /// Of each topic, what its pages wait for: another number means a change.
    topics: Arc<Mutex<HashMap<Topic, watch::Sender<i64>>>>,
    /// Notified when a page opens.
    opened: Arc<Notify>,
}

impl LivePages {
    /// Starts the loop; it ends when `stopped` fires, and every stream with it.
    pub(crate) fn start(
        loops: &mut Supervisor,
        database: &Database,
        stopped: &CancellationToken,
    ) -> Self {
        let pages = Self::default();
        loops.start(Looking {
            database: database.clone(),
            pages: pages.clone(),
            stopped: stopped.clone(),
            outage: Outage::new(Looking::NAME, "look for changes of what pages show"),
        });
        pages
    }

    /// What tells a page of changes; nothing where too many are open.
    fn subscribe(&self, topic: Topic) -> Option<watch::Receiver<i64>> {
        let mut topics = self.topics();
        let open: usize = topics.values().map(watch::Sender::receiver_count).sum();
        if open >= MOST_PAGES {
            return None;
        }
        let mut changes = topics.entry(topic).or_default().subscribe();
        if topic.is_some() {
            // The task may have changed since the page was drawn, and others been told already.
            changes.mark_changed();
        }
        self.opened.notify_one();
        Some(changes)
    }

    fn topics(&self) -> MutexGuard<'_, HashMap<Topic, watch::Sender<i64>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What pages show; nothing where there is no page.
    fn shown(&self) -> Vec<Topic> {
        let mut topics = self.topics();
        topics.retain(|_, changes| changes.receiver_count() > 0);
        topics.keys().copied().collect()
    }

    /// Tells pages where what they show has another mark.
    fn tell(&self, topic: Topic, mark: i64) {
        if let Some(changes) = self.topics().get(&topic) {
            changes.send_if_modified(|last| std::mem::replace(last, mark) != mark);
        }
    }
}

/// Which changes to tell.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LiveParams {
    /// Only those of this task.
    task_uuid: Option<String>,
}

/// Streams an event `changed` whenever a page should fetch itself again.
pub(crate) async fn stream_changes(
    State(state): State<WebState>,
    ConnectInfo(connection): ConnectInfo<Carries>,
    Params(params): Params<LiveParams>,
) -> Result<Response, Problem> {
    let topic = params.task_uuid.as_deref();
    let topic = topic.map(parse_task_uuid).transpose()?;
    let Some(changes) = state.live_pages.subscribe(topic) else {
        let detail = "as many pages are kept current as this server takes";
        return Err(Problem::new(Kind::TooManyRequests, detail).hint("load the page again"));
    };
    connection.a_stream();
    let stopped = state.stop.clone();
    let stream = unfold((changes, stopped), async |(mut changes, stopped)| {
        let next = stopped.run_until_cancelled(changes.changed()).await;
        next?.ok()?;
        // The page asks for an answer that is not older than this.
        let mark = changes.borrow_and_update().to_string();
        let event = Event::default().event("changed").data(mark);
        Some((Ok::<_, Infallible>(event), (changes, stopped)))
    });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Ok(([NO_BUFFERING], Sse::new(stream).keep_alive(keep_alive)).into_response())
}

/// Looks for changes while pages are open.
struct Looking {
    database: Database,
    pages: LivePages,
    stopped: CancellationToken,
    outage: Outage,
}

impl Supervised for Looking {
    const NAME: &'static str = "live_pages";

    async fn run(&mut self) {
        let stopped = self.stopped.clone();
        stopped.run_until_cancelled(self.look()).await;
    }
}

impl Looking {
    async fn look(&mut self) {
        let mut looks = 0_u32;
        loop {
            let shown = self.pages.shown();
            if shown.is_empty() {
                self.pages.opened.notified().await;
                continue;
            }
            metrics().woke(Self::NAME, "interval");
            let started = Instant::now();
            let looked = self
                .tell_changes(shown.into_iter().flatten().collect())
                .await;
            looks = looks.wrapping_add(1);
            if looks.is_multiple_of(LOOKS_PER_HINT) {
                self.pages.tell(None, i64::from(looks));
            }
            let pause = looked.map(|()| LOOK_INTERVAL.max(started.elapsed() * REST));
            sleep(self.outage.pause_after(pause)).await;
        }
    }

    async fn tell_changes(&self, tasks: Vec<TaskUuid>) -> Result<(), Error> {
        if tasks.is_empty() {
            return Ok(());
        }
        let call = self.database.call("change_marks", async |connection| {
            change_marks(connection, &tasks).await
        });
        for (task_uuid, mark) in call.await? {
            self.pages.tell(Some(task_uuid), mark);
        }
        Ok(())
    }
}
