//! Reads what happens to tasks and steps, in whichever process, for those who subscribe here.
//!
//! One loop on a connection of its own serves all subscribers, and only while there are any. It
//! publishes what it reads, and each subscriber receives it at its own pace.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tasker_shared::channel::NotReceived;
use tasker_shared::config::TaskerConfig;
use tasker_shared::database::{Database, DedicatedConnection};
use tasker_shared::error::Error;
use tasker_shared::events::{
    EventLog, EventPublisher, EventSubscription, InProcessEvents, LifecycleEvent,
};
use tasker_shared::outage::Outage;
use tasker_shared::supervisor::{Supervised, Supervisor};
use tasker_shared::telemetry::metrics;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

/// Time between two looks while nothing more is known to be there.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// The loop rests this many times as long as a look took, so that it never takes more than a tenth
/// of what one connection can ask of the database.
const REST: u32 = 9;

/// How long the first subscriber waits for the database.
const ATTACH_TIMEOUT: Duration = Duration::from_secs(5);

/// Most rows of a log that are read at once.
const MOST_ROWS: usize = 5000;

/// The name of the channels' component.
const COMPONENT: &str = "web";

/// The handle through which requests subscribe; clones share one loop.
#[derive(Clone)]
pub(crate) struct EventFeed {
    feed: Arc<Feed>,
}

struct Feed {
    publisher: EventPublisher,
    /// A place for each subscriber.
    places: Arc<Semaphore>,
    /// Whether what happens now will be told.
    follows: watch::Sender<bool>,
    /// Held to begin to subscribe, and to find that nobody does.
    turn: Mutex<()>,
    /// Notified when a client subscribes.
    someone: Notify,
    stopped: CancellationToken,
}

/// Why nobody could subscribe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotSubscribed {
    /// As many subscribe as may.
    TooMany,
    /// The database did not answer, or the process stops.
    Unavailable,
}

/// One subscriber.
pub(crate) struct Subscriber {
    events: EventSubscription,
    stopped: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl EventFeed {
    /// Starts the loop; it ends when `shutdown` fires, and every subscription with it.
    pub(crate) fn start(
        loops: &mut Supervisor,
        database: &Database,
        config: &TaskerConfig,
        shutdown: &CancellationToken,
    ) -> Self {
        let channel = &config.mpsc_channels.shared.event_publisher;
        let subscribers = InProcessEvents::of_publisher(COMPONENT, channel);
        let feed = Arc::new(Feed {
            publisher: EventPublisher::start(COMPONENT, channel, subscribers),
            places: Arc::new(Semaphore::new(config.web.max_event_subscribers)),
            follows: watch::Sender::new(false),
            turn: Mutex::default(),
            someone: Notify::new(),
            stopped: shutdown.clone(),
        });
        // What is read at once must not be more than subscribers may be behind.
        let width = MOST_ROWS.min(channel.event_queue_buffer_size / 2);
        loops.start(Following {
            database: database.clone(),
            width,
            feed: Arc::clone(&feed),
            log: None,
            outage: Outage::new(Following::NAME, "follow what happens to tasks"),
        });
        Self { feed }
    }

    /// A subscriber of what happens from here on.
    pub(crate) async fn subscribe(&self) -> Result<Subscriber, NotSubscribed> {
        let place = Arc::clone(&self.feed.places).try_acquire_owned();
        let place = place.map_err(|_| NotSubscribed::TooMany)?;
        let mut follows = self.feed.follows.subscribe();
        let subscriber = Subscriber {
            events: self.feed.add_subscriber(),
            stopped: self.feed.stopped.clone(),
            _place: place,
        };
        let followed = timeout(ATTACH_TIMEOUT, follows.wait_for(|follows| *follows));
        tokio::select! {
            followed = followed => match followed {
                Ok(Ok(_)) => Ok(subscriber),
                _ => Err(NotSubscribed::Unavailable),
            },
            () = self.feed.stopped.cancelled() => Err(NotSubscribed::Unavailable),
        }
    }

    /// Subscribers there are.
    pub(crate) fn subscribers(&self) -> usize {
        self.feed.publisher.subscribers()
    }
}

impl Subscriber {
    /// The next event, or how many were missed before it; nothing when the process stops.
    pub(crate) async fn next(&mut self) -> Option<Result<Arc<LifecycleEvent>, u64>> {
        tokio::select! {
            biased;
            () = self.stopped.cancelled() => None,
            next = self.events.next() => match next {
                Ok(event) => Some(Ok(event)),
                Err(NotReceived::Lagged(missed)) => Some(Err(missed)),
                Err(NotReceived::Closed) => None,
            },
        }
    }
}

impl Feed {
    fn add_subscriber(&self) -> EventSubscription {
        let turn = self.turn();
        let events = self.publisher.subscribe();
        drop(turn);
        self.someone.notify_one();
        events
    }

    /// Whether to go on: a subscriber that comes later will wait until the loop follows again.
    fn goes_on(&self) -> bool {
        let _turn = self.turn();
        let goes_on = self.publisher.has_subscribers();
        if !goes_on {
            self.follows.send_replace(false);
        }
        goes_on
    }

    async fn someone_subscribes(&self) {
        while !self.publisher.has_subscribers() {
            self.someone.notified().await;
        }
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows what happens while anybody subscribes.
struct Following {
    database: Database,
    width: usize,
    feed: Arc<Feed>,
    /// Where it is in the log, while anybody subscribes.
    log: Option<EventLog>,
    outage: Outage,
}

impl Supervised for Following {
    const NAME: &'static str = "event_feed";

    async fn run(&mut self) {
        let stopped = self.feed.stopped.clone();
        let follow = async {
            loop {
                self.feed.someone_subscribes().await;
                self.follow().await;
                self.log = None;
            }
        };
        stopped.run_until_cancelled(follow).await;
    }
}

impl Following {
    /// Follows what happens for as long as anybody subscribes.
    async fn follow(&mut self) {
        let mut connection = self.database.dedicated();
        while self.feed.goes_on() {
            let started = Instant::now();
            let polled = poll(&mut connection, &mut self.log, self.width, &self.feed).await;
            let pause = polled.map(|is_behind| {
                let least = if is_behind {
                    Duration::ZERO
                } else {
                    LOOK_INTERVAL
                };
                least.max(started.elapsed() * REST)
            });
            sleep(self.outage.pause_after(pause)).await;
        }
    }
}

/// Publishes what is new; whether there is more.
async fn poll(
    connection: &mut DedicatedConnection,
    log: &mut Option<EventLog>,
    width: usize,
    feed: &Feed,
) -> Result<bool, Error> {
    let Some(log) = log else {
        let opened = connection.call("open_event_log", async |connection| {
            EventLog::open(connection, width).await
        });
        *log = Some(opened.await?);
        feed.follows.send_replace(true);
        return Ok(false);
    };
    metrics().woke(Following::NAME, "interval");
    let news = connection
        .call("recent_events", async |connection| {
            log.next(connection).await
        })
        .await?;
    if let Some(missed) = news.missed {
        feed.publisher.missed(missed);
    }
    let is_quiet = news.events.is_empty();
    for event in news.events {
        feed.publisher.publish(event).await;
    }
    if !is_quiet {
        let summarized = connection.call("summarize_transitions", async |connection| {
            log.summarize(connection).await
        });
        if let Err(error) = summarized.await {
            debug!(%error, "could not bring the indexes of the logs up to date");
        }
    }
    Ok(news.is_behind)
}
