//! Carries out the worker's commands: receives steps whenever there is a place for one.
//!
//! One loop owns the places and one database connection. It looks when it is told to, and when a
//! place becomes free while more steps are known to wait. What happens during a look is the next
//! one's batch.

use std::collections::HashSet;
use std::time::Duration;

use pgmq_notify::{Subscriptions, insert_channel, queue_of_channel};
use tasker_shared::backoff::Backoff;
use tasker_shared::channel::Receiver;
use tasker_shared::database::DedicatedConnection;
use tasker_shared::error::Error;
use tasker_shared::ids::TaskUuid;
use tasker_shared::outage::Outage;
use tasker_shared::queues::{self, QueueTroubles};
use tasker_shared::steps::{Demand, Received, ReceivedStep, receive_steps};
use tasker_shared::supervisor::Supervised;
use tasker_shared::telemetry::metrics;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::launcher::Launcher;
use crate::namespaces::{Namespaces, queue_name};
use crate::places::Occupancy;

/// Pauses before another look for what had to be left out: another transaction holds it, or a queue
/// is in trouble. A message that was handed on to a held step comes back after 100 ms, which is the
/// half of the first that is not left to chance.
const LEFT_OUT_MIN: Duration = Duration::from_millis(200);
const LEFT_OUT_MAX: Duration = Duration::from_millis(500);

/// How many commands or completions are looked at as one.
const BURST: usize = 1000;

/// What the worker is told to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WorkerCommand {
    /// Receive steps, as many as there are places for.
    ReceiveSteps(WakeReason),
    /// Find out which namespaces there are.
    RefreshNamespaces,
    /// See whether running steps of these tasks are still wanted.
    CheckLeases(Vec<TaskUuid>),
}

/// Why the loop looks for steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WakeReason {
    /// The worker started.
    Start,
    /// The listener has a new connection.
    Connected,
    /// A queue got messages.
    Notification,
    /// Time passed.
    Poll,
    /// A namespace was found.
    Namespace,
    /// The last look found as many steps as it asked for.
    Backlog,
    /// A place became free.
    Capacity,
    /// The last look failed, or left something out.
    Retry,
}

impl WakeReason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Connected => "connected",
            Self::Notification => "notification",
            Self::Poll => "poll",
            Self::Namespace => "namespace",
            Self::Backlog => "backlog",
            Self::Capacity => "capacity",
            Self::Retry => "retry",
        }
    }
}

/// What the loop is configured to do.
pub(crate) struct Receiving {
    pub(crate) worker: String,
    pub(crate) concurrency: usize,
    pub(crate) handlers: Vec<String>,
    pub(crate) batch_size: i32,
    pub(crate) batch_bytes: i64,
    pub(crate) lease: Duration,
}

/// What the loop works with.
pub(crate) struct ReceivingParts {
    pub(crate) connection: DedicatedConnection,
    pub(crate) commands: Receiver<WorkerCommand>,
    pub(crate) completions: Receiver<Occupancy>,
    pub(crate) launcher: Launcher,
    pub(crate) namespaces: Namespaces,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) shutdown: CancellationToken,
    pub(crate) outage: Outage,
}

/// The loop that receives steps.
pub(crate) struct CommandProcessor {
    settings: Receiving,
    connection: DedicatedConnection,
    commands: Receiver<WorkerCommand>,
    completions: Receiver<Occupancy>,
    launcher: Launcher,
    namespaces: Namespaces,
    subscriptions: Subscriptions,
    shutdown: CancellationToken,
    /// Steps that run or are about to.
    running: usize,
    /// A look that is wanted.
    wanted: Option<WakeReason>,
    /// Whether the namespaces have to be looked up first.
    refresh: bool,
    /// Until when nothing is tried, after a failure.
    pause_until: Option<Instant>,
    outage: Outage,
    troubles: QueueTroubles,
    /// When to look again for what the last look left out.
    again_at: Option<Instant>,
    left_out: Backoff,
}

impl CommandProcessor {
    pub(crate) fn new(settings: Receiving, parts: ReceivingParts) -> Self {
        Self {
            settings,
            connection: parts.connection,
            commands: parts.commands,
            completions: parts.completions,
            launcher: parts.launcher,
            namespaces: parts.namespaces,
            subscriptions: parts.subscriptions,
            shutdown: parts.shutdown,
            running: 0,
            wanted: Some(WakeReason::Start),
            refresh: true,
            pause_until: None,
            outage: parts.outage,
            troubles: QueueTroubles::default(),
            again_at: None,
            left_out: Backoff::new(LEFT_OUT_MIN, LEFT_OUT_MAX),
        }
    }

    /// Places for further handlers, as far as changes were looked at, without those that are promised.
    fn free(&self) -> usize {
        let free = self.settings.concurrency.saturating_sub(self.running);
        free.min(self.launcher.places().for_receipts())
    }

    /// Whether no step is known to wait for a place.
    const fn is_idle(&self) -> bool {
        self.wanted.is_none() && self.again_at.is_none() && self.pause_until.is_none()
    }

    /// Waits for something to do, unless there is; false when the worker stops.
    async fn wait(&mut self) -> bool {
        // Before a look at what is free: what is given back later is then heard of.
        let places = self.launcher.places();
        places.offer(self.is_idle());
        let reserved_until = places.reserved_until();
        let paused = self.pause_until.is_some();
        if self.wanted.is_some() && self.free() > 0 && !paused {
            return !self.shutdown.is_cancelled();
        }
        let mut commands = Vec::new();
        let mut completed = Vec::new();
        let pause_until = self.pause_until.unwrap_or_else(Instant::now);
        let again_at = self.again_at.unwrap_or_else(Instant::now);
        let waits_for_places = self.wanted.is_some() && !paused && reserved_until.is_some();
        tokio::select! {
            () = self.shutdown.cancelled() => return false,
            _ = self.completions.recv_many(&mut completed, BURST) => self.completed(&completed),
            _ = self.commands.recv_many(&mut commands, BURST) => {
                if commands.is_empty() {
                    return false;
                }
            }
            () = sleep_until(pause_until), if paused => {
                self.pause_until = None;
                self.wanted = Some(WakeReason::Retry);
            }
            () = sleep_until(again_at), if self.again_at.is_some() => {
                self.again_at = None;
                self.wanted.get_or_insert(WakeReason::Retry);
            }
            () = sleep_until(reserved_until.unwrap_or_else(Instant::now)), if waits_for_places => {}
        }
        for command in commands {
            self.take_note(command);
        }
        true
    }

    fn completed(&mut self, changes: &[Occupancy]) {
        self.count(changes);
        if self.wanted.is_some() {
            self.wanted = Some(WakeReason::Capacity);
        }
    }

    fn count(&mut self, changes: &[Occupancy]) {
        for change in changes {
            self.running = match change {
                Occupancy::Taken(count) => self.running.saturating_add(*count),
                Occupancy::Freed(count) => self.running.saturating_sub(*count),
            };
        }
    }

    fn take_note(&mut self, command: WorkerCommand) {
        match command {
            WorkerCommand::ReceiveSteps(reason) => {
                self.wanted.get_or_insert(reason);
            }
            WorkerCommand::RefreshNamespaces => {
                self.refresh = true;
                self.wanted.get_or_insert(WakeReason::Namespace);
            }
            WorkerCommand::CheckLeases(tasks) => self.launcher.leases().request_check(tasks),
        }
    }

    /// Looks once, if it may.
    async fn receive_more(&mut self) {
        if self.wanted == Some(WakeReason::Capacity) {
            // Handlers that are about to end get their turn first: one look for many places costs
            // hardly more than one for a single place.
            tokio::task::yield_now().await;
        }
        let mut more = Vec::new();
        while let Some(completed) = self.completions.try_recv() {
            more.push(completed);
        }
        self.count(&more);
        if self.pause_until.is_some() || self.wanted.is_none() {
            return;
        }
        self.launcher.places().offer(false);
        let free = self.free();
        if free == 0 {
            return;
        }
        let Some(reason) = self.wanted.take() else {
            return;
        };
        metrics().woke("worker_receive", reason.as_str());
        match self.receive(free).await {
            Ok((limit, steps)) => {
                self.outage.over();
                if steps.len() >= limit && limit > 0 {
                    self.wanted = Some(WakeReason::Backlog);
                }
                self.start(steps);
            }
            Err(error) => {
                let pause = self.outage.failed(&error);
                self.pause_until = Some(Instant::now() + pause);
                self.wanted = Some(WakeReason::Retry);
            }
        }
    }

    /// Receives up to as many steps as there are places; returns that limit too.
    async fn receive(&mut self, free: usize) -> Result<(usize, Vec<ReceivedStep>), Error> {
        if self.refresh || self.namespaces.is_empty() {
            self.refresh_namespaces().await?;
        }
        let namespaces = self.namespaces.next_order();
        if namespaces.is_empty() {
            return Ok((0, Vec::new()));
        }
        let free = i32::try_from(free).unwrap_or(i32::MAX);
        let settings = &self.settings;
        let limit = free.min(settings.batch_size);
        let demand = Demand {
            namespaces: &namespaces,
            handlers: Some(&settings.handlers),
            limit,
            max_bytes: settings.batch_bytes,
            lease: settings.lease,
            guard: self.troubles.guard(&self.connection),
        };
        let Received {
            steps,
            troubled,
            left_out,
        } = self
            .connection
            .call("receive_steps", async |connection| {
                receive_steps(connection, &settings.worker, &demand).await
            })
            .await?;
        metrics().steps_received(steps.len() as u64);
        if left_out || !troubled.is_empty() {
            self.again_at = Some(Instant::now() + self.left_out.pause());
        } else if self.again_at.is_none() {
            // Else this look may have come too soon to see what an earlier one left out.
            self.left_out.reset();
        }
        let used = steps.iter().map(|step| step.namespace.as_str());
        self.troubles.note("receive from", troubled, used);
        Ok((usize::try_from(limit).unwrap_or(0), steps))
    }

    async fn refresh_namespaces(&mut self) -> Result<(), Error> {
        let existing = self
            .connection
            .call("list_namespaces", queues::list_namespaces)
            .await?;
        self.refresh = false;
        let channels = existing.iter().map(|it| insert_channel(&queue_name(it)));
        let channels = channels.collect::<HashSet<_>>();
        self.subscriptions
            .retain(|channel| queue_of_channel(channel).is_none() || channels.contains(channel));
        for namespace in self.namespaces.update(existing) {
            debug!(namespace, "taking steps of a namespace");
            metrics().namespace_served(&namespace);
            let queue = queue_name(&namespace);
            self.subscriptions.listen(insert_channel(&queue));
        }
        Ok(())
    }

    fn start(&mut self, steps: Vec<ReceivedStep>) {
        if self.shutdown.is_cancelled() {
            self.launcher.give_back(steps);
        } else {
            self.running += self.launcher.launch(steps);
        }
    }
}

impl Supervised for CommandProcessor {
    const NAME: &'static str = "worker_command_processor";

    async fn run(&mut self) {
        while self.wait().await {
            self.receive_more().await;
        }
    }
}
