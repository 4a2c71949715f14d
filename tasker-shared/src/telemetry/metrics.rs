//! What can be counted and timed: one method for each fact, so that labels are the same everywhere.

use std::time::Duration;

use opentelemetry::{KeyValue, metrics::Meter};

use super::gauges::Gauges;
use super::instruments::Instruments;
use super::without_worker::WithoutWorker;
use crate::gauges::DatabaseGauges;
use crate::processes::StepsWithoutWorker;

/// The metrics of the process; see [`metrics`](super::metrics).
pub struct Metrics(Instruments, WithoutWorker, Gauges);

/// Tasks, and what the orchestrator does with their steps.
impl Metrics {
    pub(super) fn new(meter: &Meter) -> Self {
        let instruments = Instruments::new(meter);
        Self(
            instruments,
            WithoutWorker::observe(meter),
            Gauges::observe(meter),
        )
    }

    /// Tasks were submitted.
    pub fn tasks_submitted(&self, namespace: &str, count: u64) {
        self.0
            .tasks_submitted
            .add(count, &[owned("namespace", namespace)]);
    }

    /// Of tasks that were submitted, so many had their first steps enqueued by the same transaction.
    pub fn tasks_enqueued_on_submission(&self, count: u64) {
        self.0.tasks_enqueued_on_submission.add(count, &[]);
    }

    /// So many steps were enqueued by the transaction that made them ready.
    pub fn steps_enqueued_on_completion(&self, count: u64) {
        self.0.steps_enqueued_on_completion.add(count, &[]);
    }

    /// Tasks ended: `finished` or `cancelled`.
    pub fn tasks_finished(&self, state: &'static str, count: u64) {
        self.0
            .tasks_finished
            .add(count, &[KeyValue::new("state", state)]);
    }

    /// Steps of one namespace were put in its queue.
    pub fn steps_claimed(&self, namespace: &str, count: u64) {
        self.0
            .steps_claimed
            .add(count, &[owned("namespace", namespace)]);
    }

    /// A call claimed `steps` steps.
    #[expect(clippy::cast_precision_loss, reason = "a batch is far below 2^52")]
    pub fn claimed(&self, steps: u64, duration: Duration) {
        self.0.claim_duration.record(duration.as_secs_f64(), &[]);
        self.0.claim_batch_steps.record(steps as f64, &[]);
    }

    /// A claimed task's oldest step had been ready for this long.
    pub fn ready_to_claimed(&self, waited: Duration) {
        self.0.ready_to_claimed.record(waited.as_secs_f64(), &[]);
    }

    /// A step was enqueued this long after the end of the last step it depends on, on the database's
    /// clock.
    pub fn successor_enqueued(&self, after: Duration) {
        self.0
            .completion_to_enqueued
            .record(after.as_secs_f64(), &[]);
    }

    /// These steps, and no others, wait for a worker that knows their handler. Shown for a minute,
    /// unless they are looked for again.
    pub fn steps_without_worker(&self, steps: &[StepsWithoutWorker]) {
        self.1.set(steps);
    }

    /// What the database holds. Shown for a minute, unless it is looked at again.
    pub fn database_gauges(&self, gauges: DatabaseGauges) {
        self.2.set(gauges);
    }

    /// Processes fell silent without leaving; none, where it is to be counted from 0.
    pub fn processes_lost(&self, role: &'static str, count: u64) {
        self.0
            .processes_lost
            .add(count, &[KeyValue::new("role", role)]);
    }

    /// Retries that were due became ready.
    pub fn timers_fired(&self, count: u64) {
        self.0.timers_fired.add(count, &[]);
    }

    /// A readiness event of this type arrived.
    pub fn readiness_event_received(&self, event_type: &'static str) {
        self.0
            .readiness_events_received
            .add(1, &[KeyValue::new("type", event_type)]);
    }

    /// A readiness command was sent, for an event or for a task that polling found.
    pub fn readiness_command_sent(&self) {
        self.0.readiness_command_sent.add(1, &[]);
    }

    /// A readiness event became a command this long after it arrived.
    pub fn readiness_latency(&self, latency: Duration) {
        self.0.readiness_latency.record(latency.as_secs_f64(), &[]);
    }

    /// A polling look found this many ready tasks.
    pub fn fallback_polled(&self, tasks_found: u64) {
        self.0.fallback_polls_executed.add(1, &[]);
        self.0.fallback_tasks_found.add(tasks_found, &[]);
    }

    /// Tasks with ready steps were claimed.
    pub fn tasks_ready(&self, count: u64) {
        self.0.tasks_ready.add(count, &[]);
    }

    /// Polling discovered a task whose notification was missed, after it was ready for this long.
    pub fn task_discovered_by_polling(&self, ready_for: Duration) {
        self.0.tasks_discovered_by_polling.add(1, &[]);
        self.0.discovery_lag.record(ready_for.as_secs_f64(), &[]);
    }
}

/// Statistics.
impl Metrics {
    /// Samples were stored.
    pub fn samples_written(&self, count: u64) {
        self.0.samples_written.add(count, &[]);
    }

    /// Samples were dropped, for this reason.
    pub fn samples_dropped(&self, reason: &'static str, count: u64) {
        self.0
            .samples_dropped
            .add(count, &[KeyValue::new("reason", reason)]);
    }
}

/// History.
impl Metrics {
    /// Tasks of this namespace that ended so were deleted.
    pub fn tasks_pruned(&self, namespace: &str, outcome: &str, count: u64) {
        let labels = [owned("namespace", namespace), owned("outcome", outcome)];
        self.0.tasks_pruned.add(count, &labels);
    }
}

/// Workers.
impl Metrics {
    /// A worker received steps.
    pub fn steps_received(&self, count: u64) {
        self.0.steps_received.add(count, &[]);
    }

    /// A handler of this name, one registered in the process, ran.
    pub fn step_ran(&self, handler: &str, duration: Duration) {
        self.0
            .step_duration
            .record(duration.as_secs_f64(), &[owned("handler", handler)]);
    }

    /// A step started in the place of the one before it, this long after that one's handler ended.
    pub fn step_continued(&self, after: Duration) {
        self.0
            .completion_to_continued
            .record(after.as_secs_f64(), &[]);
    }

    /// Outcomes were recorded: `complete`, `retry` or `fail`.
    pub fn step_outcomes(&self, outcome: &'static str, count: u64) {
        self.0
            .step_outcomes
            .add(count, &[KeyValue::new("outcome", outcome)]);
    }

    /// The steps of this namespace are received from now on. Its failures are counted from 0, so that
    /// alerts see the first.
    pub fn namespace_served(&self, namespace: &str) {
        for reason in ["permanent", "retries_exhausted"] {
            self.add_failed(namespace, reason, 0);
        }
    }

    /// A step failed permanently: `permanent`, because its handler said so, or `retries_exhausted`.
    pub fn step_failed(&self, namespace: &str, reason: &'static str) {
        self.add_failed(namespace, reason, 1);
    }

    fn add_failed(&self, namespace: &str, reason: &'static str, count: u64) {
        let labels = [
            owned("namespace", namespace),
            KeyValue::new("reason", reason),
        ];
        self.0.steps_failed.add(count, &labels);
    }

    /// Outcomes changed nothing, because their attempts were over.
    pub fn stale_outcomes(&self, count: u64) {
        self.0.stale_outcomes.add(count, &[]);
    }

    /// This many more outcomes wait although they were reported to the database; fewer if negative.
    pub fn outcomes_waiting_changed(&self, by: i64) {
        self.0.outcomes_waiting.add(by, &[]);
    }

    /// This many more handlers run; fewer if negative.
    pub fn running_steps_changed(&self, by: i64) {
        self.0.running_steps.add(by, &[]);
    }

    /// This many more handlers may run at the same time; fewer if negative.
    pub fn concurrency_changed(&self, by: i64) {
        self.0.concurrency.add(by, &[]);
    }

    /// Foreign messages were moved from our queues to their archives.
    pub fn messages_archived(&self, count: u64) {
        self.0.messages_archived.add(count, &[]);
    }

    /// Ready steps were left out of a claim because another transaction held them or their task.
    pub fn steps_locked(&self, count: u64) {
        self.0.steps_locked.add(count, &[]);
    }

    /// Steps were given back unstarted.
    pub fn steps_released(&self, count: u64) {
        self.0.steps_released.add(count, &[]);
    }

    /// Running steps lost their lease: `cancelled` or `stale`.
    pub fn leases_lost(&self, reason: &'static str, count: u64) {
        self.0
            .leases_lost
            .add(count, &[KeyValue::new("reason", reason)]);
    }
}

/// What every role does.
impl Metrics {
    /// A loop woke.
    pub fn woke(&self, loop_name: &'static str, reason: &'static str) {
        let labels = [
            KeyValue::new("loop", loop_name),
            KeyValue::new("reason", reason),
        ];
        self.0.wakeups.add(1, &labels);
    }

    /// Life-cycle events entered a channel.
    pub fn events_published(&self, channel: &'static str, component: &'static str, count: u64) {
        let labels = of_channel(channel, component);
        self.0.events_published.add(count, &labels);
    }

    /// Life-cycle events were dropped by a channel, or missed by one of its subscribers.
    pub fn events_dropped(&self, channel: &'static str, component: &'static str, count: u64) {
        let labels = of_channel(channel, component);
        self.0.events_dropped.add(count, &labels);
    }

    /// This many more subscribe to life-cycle events; fewer if negative.
    pub fn event_subscribers_changed(&self, component: &'static str, by: i64) {
        let labels = [KeyValue::new("component", component)];
        self.0.event_subscribers.add(by, &labels);
    }

    /// A background loop ended unexpectedly and was started again.
    pub fn supervised_restart(&self, name: &'static str) {
        self.0
            .supervised_restarts
            .add(1, &[KeyValue::new("name", name)]);
    }

    /// A database call ended, well or with an error.
    pub fn database_call(&self, call: &'static str, duration: Duration, succeeded: bool) {
        let result = if succeeded { "ok" } else { "error" };
        let labels = [KeyValue::new("call", call), KeyValue::new("result", result)];
        self.0.database_calls.add(1, &labels);
        self.0
            .database_call_duration
            .record(duration.as_secs_f64(), &labels[..1]);
    }

    /// A listening connection was made, the first or after a loss.
    pub fn listener_connected(&self, listener: &'static str) {
        self.0
            .listener_connections
            .add(1, &[KeyValue::new("listener", listener)]);
    }

    /// Tasks, timers or queues were announced on a channel: `task_ready`, `task_state`, `timer_set`, or
    /// `pgmq` for those of queues.
    pub fn notifications_sent(&self, channel: &'static str, count: u64) {
        if count > 0 {
            let labels = [KeyValue::new("channel", channel)];
            self.0.notifications_sent.add(count, &labels);
        }
    }

    /// A notification arrived on a PostgreSQL channel. Channels of queues count as one.
    pub fn notification(&self, channel: &str) {
        let channel = if channel.starts_with("pgmq.") {
            "pgmq"
        } else {
            channel
        };
        self.0.notifications.add(1, &[owned("channel", channel)]);
    }

    /// A notification could not be read by this listener.
    pub fn notification_ignored(&self, listener: &'static str) {
        self.0
            .notifications_ignored
            .add(1, &[KeyValue::new("listener", listener)]);
    }

    /// A request was answered. `route` is the pattern that matched, not the path.
    pub fn http_request(&self, method: &str, route: &str, status: u16, duration: Duration) {
        let labels = [
            KeyValue::new("method", known_method(method)),
            owned("route", route),
            KeyValue::new("status", i64::from(status)),
        ];
        self.0.http_requests.add(1, &labels);
        self.0
            .http_request_duration
            .record(duration.as_secs_f64(), &labels[..2]);
    }
}

fn of_channel(channel: &'static str, component: &'static str) -> [KeyValue; 2] {
    [
        KeyValue::new("channel", channel),
        KeyValue::new("component", component),
    ]
}

fn owned(label: &'static str, value: &str) -> KeyValue {
    KeyValue::new(label, value.to_owned())
}

/// The method, or `other`: clients may send any word, and each would be a series.
fn known_method(method: &str) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    KNOWN
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use crate::config::workspace_sources;

    /// An alert on a metric that nothing records would never fire.
    #[test]
    fn every_metric_is_recorded_somewhere() {
        let sources = workspace_sources::of_each_crate("tasker-shared/src/telemetry");
        let code = include_str!("metrics.rs")
            .split("#[cfg(test)]")
            .next()
            .unwrap();
        let methods = code.split("    pub fn ").skip(1);
        let names: Vec<_> = methods.filter_map(|rest| rest.split_once('(')).collect();
        assert!(names.len() > 20);
        let called = |name: &str| {
            sources
                .iter()
                .any(|text| text.contains(&format!(".{name}(")))
        };
        let unused: Vec<_> = names
            .iter()
            .map(|(name, _)| name)
            .filter(|name| !called(name))
            .collect();
        assert_eq!(unused, Vec::<&&str>::new());
    }
}
