//! One connection that listens, for as long as it is wanted.
//!
//! A connection that breaks is replaced, with growing and jittered pauses. One that is half open
//! shows no error, so the loop asks it for a sign of life and replaces one that does not answer in
//! time. That is not a notification: PostgreSQL wakes every listener of the database for each. Every
//! new connection is reported as [`ListenEvent::Connected`]: whatever was announced before it may have
//! been missed, and the receiver has to look for itself. It is so only once the connection has heard
//! itself: behind a pooler that gives a client another session for each transaction LISTEN succeeds,
//! and nothing is ever heard.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgNotification, PgPoolOptions};
use sqlx::{Connection, Executor, PgConnection, PgPool, Postgres, Row};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use uuid::Uuid;

use crate::backoff::Backoff;

/// How long the connection may take to close at the end; one that is half open never does.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a connection is seen to keep its session. On a busy machine others hide two times of three that it
/// does not.
const SESSION_CHECKS: usize = 30;
/// SQLSTATE `invalid_sql_statement_name`.
const UNKNOWN_STATEMENT: &str = "26000";

/// How the loop keeps its connection.
#[derive(Debug, Clone, Copy)]
pub struct ListenerSettings {
    /// Time between two heartbeats; a connection is given up when an answer takes this long.
    pub heartbeat_interval: Duration,
    /// Pause before the first attempt to reconnect.
    pub reconnect_min: Duration,
    /// Longest pause between two attempts.
    pub reconnect_max: Duration,
}

impl ListenerSettings {
    /// How long a statement on the connection may take.
    fn deadline(self) -> Duration {
        self.heartbeat_interval.max(self.reconnect_max)
    }
}

/// What the loop reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenEvent {
    /// A new connection listens: anything sent before may have been missed.
    Connected,
    /// A notification. One with an empty payload also stands for what was missed on a channel
    /// before it was added to an open connection.
    Notification {
        /// Its channel.
        channel: String,
        /// Its payload.
        payload: String,
    },
}

/// The channels that a listener listens to; they can change while it runs.
#[derive(Debug, Clone)]
pub struct Subscriptions {
    channels: watch::Sender<BTreeSet<String>>,
    connected: Arc<AtomicBool>,
}

impl Subscriptions {
    /// Subscribes to `channels` from the first connection on.
    pub fn new(channels: impl IntoIterator<Item = String>) -> Self {
        Self {
            channels: watch::Sender::new(channels.into_iter().collect()),
            connected: Arc::default(),
        }
    }

    /// Whether a connection listens to them at the moment, as far as the listener knows.
    pub fn are_connected(&self) -> bool {
        self.connected.load(Relaxed)
    }

    /// Listens to one more channel; true when it was not listened to before.
    pub fn listen(&self, channel: impl Into<String>) -> bool {
        let channel = channel.into();
        self.channels
            .send_if_modified(|channels| channels.insert(channel))
    }

    /// Listens no longer to the channels that are not to be kept.
    pub fn retain(&self, keep: impl Fn(&str) -> bool) {
        self.channels.send_if_modified(|channels| {
            let before = channels.len();
            channels.retain(|channel| keep(channel));
            channels.len() < before
        });
    }

    /// Listens no longer to a channel; true when it was listened to.
    pub fn unlisten(&self, channel: &str) -> bool {
        self.channels
            .send_if_modified(|channels| channels.remove(channel))
    }
}

/// Says that a connection listens for as long as it lives, however the loop ends.
struct Connected<'a>(&'a AtomicBool);

impl<'a> Connected<'a> {
    fn note(connected: &'a AtomicBool) -> Self {
        connected.store(true, Relaxed);
        Self(connected)
    }
}

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.store(false, Relaxed);
    }
}

/// Why a connection was given up.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("the connection was closed")]
    Closed,
    #[error("it did not answer within {0:?}")]
    Silent(Duration),
    #[error(
        "nothing that is announced comes back through it: LISTEN does not work behind a pooler in \
         transaction mode, and needs an address that leads past it"
    )]
    Deaf,
    #[error("{}", words(.0))]
    Failed(#[from] sqlx::Error),
}

/// What an error says; of one of the server its words alone, without the line of its source.
fn words(error: &sqlx::Error) -> String {
    let database = error.as_database_error();
    database.map_or_else(|| error.to_string(), |error| error.message().to_owned())
}

impl Lost {
    /// Whether another attempt at the same address will not help.
    fn is_for_good(&self) -> bool {
        match self {
            Self::Deaf => true,
            Self::Failed(error) => is_refusal_of_a_pooler(error),
            Self::Closed | Self::Silent(_) => false,
        }
    }
}

/// Whether a connection made with these options hears what is announced, found out within a
/// deadline; it does not behind a pooler in transaction mode.
///
/// # Errors
/// Those of a server that does not answer or refuses the connection.
pub async fn can_listen(
    options: PgConnectOptions,
    deadline: Duration,
) -> Result<bool, sqlx::Error> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(deadline)
        .connect_lazy_with(options.clone());
    let mut no_one = async |_: ListenEvent| {};
    let heard = async {
        let mut another = PgConnection::connect_with(&options).await?;
        let mut listener = PgListener::connect_with(&pool).await?;
        for _ in 0..SESSION_CHECKS {
            if !keeps_its_session(&mut listener, &mut another).await? {
                return Err(Lost::Deaf);
            }
        }
        another.close().await?;
        let channel = own_channel();
        within(deadline, listener.listen(&channel)).await?;
        prove(&mut listener, &channel, deadline, &mut no_one).await
    };
    let heard = match timeout(deadline * 2, heard).await {
        Ok(heard) => heard,
        Err(_) => Err(Lost::Silent(deadline)),
    };
    let _ = timeout(CLOSE_TIMEOUT, pool.close()).await;
    match heard {
        Ok(()) => Ok(true),
        Err(Lost::Deaf) => Ok(false),
        Err(Lost::Failed(error)) if is_refusal_of_a_pooler(&error) => Ok(false),
        Err(Lost::Failed(error)) => Err(error),
        Err(Lost::Closed | Lost::Silent(_)) => Err(sqlx::Error::PoolTimedOut),
    }
}

/// Poolers refuse what we ask of a session at its start, unless they are set to ignore that, and
/// send what executes a statement to another session than what prepared it.
fn is_refusal_of_a_pooler(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| {
        let unprepared = error.code().is_some_and(|code| code == UNKNOWN_STATEMENT);
        unprepared || error.message().contains("startup parameter")
    })
}

/// Listens until `shutdown` and hands every event to `sink`, in order.
///
/// While `sink` waits nothing is read, so that a slow receiver holds back the server's queue and
/// nothing is lost. `options` is asked for each connection: a password may have changed.
pub async fn run(
    options: impl Fn() -> PgConnectOptions,
    subscriptions: Subscriptions,
    settings: ListenerSettings,
    mut sink: impl AsyncFnMut(ListenEvent),
    shutdown: CancellationToken,
) {
    let mut backoff = Backoff::new(settings.reconnect_min, settings.reconnect_max);
    let mut outage = false;
    while !shutdown.is_cancelled() {
        let connected = Instant::now();
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(settings.deadline())
            .connect_lazy_with(options());
        let ended = tokio::select! {
            ended = listen(&pool, &subscriptions, settings, &mut sink, &mut outage) => ended,
            () = shutdown.cancelled() => {
                // The listener gives its connection back in the background. A caller that waits for
                // the end of this loop may stop the server next, so that has to be over.
                let _ = timeout(CLOSE_TIMEOUT, pool.close()).await;
                return;
            }
        };
        if connected.elapsed() > settings.reconnect_max {
            backoff.reset();
        }
        // One line reports an outage, however many attempts it takes to end it. What no attempt can
        // mend is reported every time.
        if ended.is_for_good() {
            outage = true;
            warn!(error = %ended, "this connection cannot listen");
        } else if outage {
            debug!(error = %ended, "could not listen; trying again");
        } else {
            outage = true;
            warn!(error = %ended, "the listening connection was lost; connecting until it is back");
        }
        tokio::select! {
            () = sleep(backoff.pause()) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// Listens on one connection until it is lost; ends the `outage` when there is a connection.
async fn listen(
    pool: &PgPool,
    subscriptions: &Subscriptions,
    settings: ListenerSettings,
    sink: &mut impl AsyncFnMut(ListenEvent),
    outage: &mut bool,
) -> Lost {
    match listen_until_lost(pool, subscriptions, settings, sink, outage).await {
        Ok(never) => match never {},
        Err(lost) => lost,
    }
}

async fn listen_until_lost(
    pool: &PgPool,
    subscriptions: &Subscriptions,
    settings: ListenerSettings,
    sink: &mut impl AsyncFnMut(ListenEvent),
    outage: &mut bool,
) -> Result<std::convert::Infallible, Lost> {
    let deadline = settings.deadline();
    let mut listener = PgListener::connect_with(pool).await?;
    listener.eager_reconnect(false);

    let own_channel = own_channel();
    let mut wanted = subscriptions.channels.subscribe();
    let mut listening = wanted.borrow_and_update().clone();
    let channels = listening
        .iter()
        .map(String::as_str)
        .chain([own_channel.as_str()]);
    within(deadline, listener.listen_all(channels.collect::<Vec<_>>())).await?;
    prove(&mut listener, &own_channel, deadline, sink).await?;
    within(deadline, listener.unlisten(&own_channel)).await?;
    let _connected = Connected::note(&subscriptions.connected);
    if std::mem::take(outage) {
        info!("listening again");
    }
    sink(ListenEvent::Connected).await;

    let period = settings.heartbeat_interval;
    let mut heartbeat = interval_at(Instant::now() + period, period);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            received = listener.try_recv() => {
                let Some(notification) = received? else { return Err(Lost::Closed) };
                hand_on(&notification, sink).await;
                // A sign of life; and a heartbeat in the middle of a burst would have all of it read
                // into memory.
                heartbeat.reset();
            }
            _ = wanted.changed() => {
                let next = wanted.borrow_and_update().clone();
                resubscribe(&mut listener, &listening, &next, deadline).await?;
                for channel in next.difference(&listening) {
                    sink(ListenEvent::Notification {
                        channel: channel.clone(),
                        payload: String::new(),
                    })
                    .await;
                }
                listening = next;
            }
            _ = heartbeat.tick() => within(period, beat(&mut listener)).await?,
        }
    }
}

/// A channel that nobody else listens to.
fn own_channel() -> String {
    format!("pgmq_notify_{}", Uuid::new_v4().simple())
}

/// Whether a connection stays in its session while another one is in a transaction.
///
/// A pooler in transaction mode hands the session that was used last to the next client, unless a
/// third one comes between them.
async fn keeps_its_session(
    listener: &mut PgListener,
    another: &mut PgConnection,
) -> Result<bool, sqlx::Error> {
    let session = backend_pid(&mut *listener, "select pg_backend_pid()").await?;
    let taken = backend_pid(&mut *another, "begin; select pg_backend_pid()").await?;
    let later = backend_pid(&mut *listener, "select pg_backend_pid()").await?;
    sqlx::raw_sql("rollback").execute(another).await?;
    Ok(taken != session && later == session)
}

/// The session that answers, asked in one message: of several, a pooler may send each elsewhere.
async fn backend_pid<'c>(
    connection: impl Executor<'c, Database = Postgres>,
    statement: &'static str,
) -> Result<i32, sqlx::Error> {
    let row = connection.fetch_one(sqlx::raw_sql(statement)).await?;
    row.try_get(0)
}

/// Asks for a sign of life, with what costs the server least.
async fn beat(listener: &mut PgListener) -> Result<(), sqlx::Error> {
    let nothing = sqlx::raw_sql("/* a listener asks whether it is connected */");
    nothing.execute(listener).await.map(drop)
}

/// Announces to its own channel and waits until that comes back; what comes before it is handed on.
async fn prove(
    listener: &mut PgListener,
    own_channel: &str,
    deadline: Duration,
    sink: &mut impl AsyncFnMut(ListenEvent),
) -> Result<(), Lost> {
    // The statement has no name that it could share with one of another client.
    let notify = sqlx::query("select pg_notify($1, '')").persistent(false);
    within(deadline, notify.bind(own_channel).execute(&mut *listener)).await?;
    let mut until = Instant::now() + deadline;
    loop {
        let received = match timeout_at(until, listener.try_recv()).await {
            Ok(received) => received?,
            Err(_) => return Err(Lost::Deaf),
        };
        let Some(notification) = received else {
            return Err(Lost::Closed);
        };
        if notification.channel() == own_channel {
            return Ok(());
        }
        hand_on(&notification, sink).await;
        until = Instant::now() + deadline;
    }
}

async fn hand_on(notification: &PgNotification, sink: &mut impl AsyncFnMut(ListenEvent)) {
    sink(ListenEvent::Notification {
        channel: notification.channel().to_owned(),
        payload: notification.payload().to_owned(),
    })
    .await;
}

/// Follows a change of the wanted channels on the open connection.
async fn resubscribe(
    listener: &mut PgListener,
    listening: &BTreeSet<String>,
    wanted: &BTreeSet<String>,
    deadline: Duration,
) -> Result<(), Lost> {
    for channel in wanted.difference(listening) {
        within(deadline, listener.listen(channel)).await?;
        debug!(channel, "listening");
    }
    for channel in listening.difference(wanted) {
        within(deadline, listener.unlisten(channel)).await?;
        debug!(channel, "listening no longer");
    }
    Ok(())
}

/// Bounds a statement on a connection that may be half open.
async fn within<T>(
    deadline: Duration,
    statement: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, Lost> {
    match timeout(deadline, statement).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(Lost::Silent(deadline)),
    }
}
