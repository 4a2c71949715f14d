//! The gauges of what the database holds: as it was when it was last looked at.

use opentelemetry::{KeyValue, metrics::Meter};

use super::recent::Recent;
use crate::gauges::{Backlog, DatabaseGauges, SilentProcess};

/// A gauge with a value for each namespace: its name, what it says, and where it is found.
type OfNamespace = (&'static str, &'static str, fn(&Backlog) -> Option<f64>);

const OF_NAMESPACES: [OfNamespace; 5] = [
    (
        "tasker_ready_steps",
        "Steps that wait to be claimed; counted up to 10,000",
        |backlog| Some(number(backlog.ready_steps)),
    ),
    (
        "tasker_oldest_ready_step_seconds",
        "For how long the oldest step that waits to be claimed has been ready; 0 where none waits",
        |backlog| Some(backlog.oldest_ready_seconds),
    ),
    (
        "tasker_queue_depth",
        "Messages in the queue, those of running steps included; counted up to 10,000",
        |backlog| backlog.queue_depth.map(number),
    ),
    (
        "tasker_queue_waiting_steps",
        "Steps in the queue that no worker has received; counted up to 10,000",
        |backlog| backlog.waiting_steps.map(number),
    ),
    (
        "tasker_oldest_waiting_step_seconds",
        "For how long the oldest step that no worker has received has been in the queue; 0 where \
         none waits",
        |backlog| backlog.oldest_waiting_seconds,
    ),
];

/// A gauge with one value.
type Overall = (&'static str, &'static str, fn(&DatabaseGauges) -> f64);

const OVERALL: [Overall; 3] = [
    (
        "tasker_pg_notification_queue_usage_ratio",
        "The part of the queue of notifications that is in use",
        |gauges| gauges.notification_queue_usage,
    ),
    (
        "tasker_vacuum_held_back_seconds",
        "Age of the oldest transaction that keeps vacuum from its work; 0 where none does",
        |gauges| gauges.held_back_seconds,
    ),
    (
        "tasker_vacuum_held_back_transactions",
        "Transactions that began since the oldest one that is still visible to any: a transaction, a \
         replication slot or a standby",
        |gauges| number(gauges.held_back_transactions),
    ),
];

/// What the gauges show.
pub(super) struct Gauges(Recent<DatabaseGauges>);

impl Gauges {
    /// Makes the instruments, which live as long as the provider of `meter`.
    pub(super) fn observe(meter: &Meter) -> Self {
        let seen = Recent::unknown();
        for (name, help, value) in OF_NAMESPACES {
            gauge(meter, &seen, name, help, move |gauges, observe| {
                for backlog in gauges.backlogs.iter() {
                    if let Some(value) = value(backlog) {
                        observe(value, &[of(backlog)]);
                    }
                }
            });
        }
        for (name, help, value) in OVERALL {
            gauge(meter, &seen, name, help, move |gauges, observe| {
                observe(value(gauges), &[]);
            });
        }
        gauge(
            meter,
            &seen,
            "tasker_overdue_steps",
            "Steps that should have moved more than a minute ago, by what did not happen: claim, \
             retry, lease; counted up to 10,000, retries up to 1,000",
            overdue_steps,
        );
        gauge(
            meter,
            &seen,
            "tasker_live_processes",
            "Processes that were seen within half a minute, by role",
            |gauges, observe| {
                observe(gauges.live_orchestrators.into(), &[role("orchestrator")]);
                observe(gauges.live_workers.into(), &[role("worker")]);
            },
        );
        gauge(
            meter,
            &seen,
            "tasker_silent_processes",
            "Processes that were not seen for half a minute and have not left, by role; forgotten \
             after a minute",
            |gauges, observe| {
                for name in ["orchestrator", "worker"] {
                    let is_of_role = |process: &&SilentProcess| process.role == name;
                    let silent = gauges.silent.iter().filter(is_of_role).count();
                    observe(
                        number(i64::try_from(silent).unwrap_or(i64::MAX)),
                        &[role(name)],
                    );
                }
            },
        );
        Self(seen)
    }

    /// Shows this in place of what was seen earlier.
    pub(super) fn set(&self, gauges: DatabaseGauges) {
        self.0.set(gauges);
    }
}

fn gauge(
    meter: &Meter,
    seen: &Recent<DatabaseGauges>,
    name: &'static str,
    help: &'static str,
    show: impl Fn(&DatabaseGauges, &dyn Fn(f64, &[KeyValue])) + Send + Sync + 'static,
) {
    let shown = seen.clone();
    meter
        .f64_observable_gauge(name)
        .with_description(help)
        .with_callback(move |observer| {
            shown.show(|gauges| {
                show(gauges, &|value, labels| observer.observe(value, labels));
            });
        })
        .build();
}

fn overdue_steps(gauges: &DatabaseGauges, observe: &dyn Fn(f64, &[KeyValue])) {
    for backlog in gauges.backlogs.iter() {
        for (reason, steps) in [
            ("claim", Some(backlog.overdue_claims)),
            ("retry", Some(backlog.overdue_retries)),
            ("lease", backlog.overdue_leases),
        ] {
            if let Some(steps) = steps {
                observe(
                    number(steps),
                    &[of(backlog), KeyValue::new("reason", reason)],
                );
            }
        }
    }
}

fn of(backlog: &Backlog) -> KeyValue {
    KeyValue::new("namespace", backlog.namespace.clone())
}

fn role(name: &'static str) -> KeyValue {
    KeyValue::new("role", name)
}

#[expect(clippy::cast_precision_loss, reason = "it is far below 2^52")]
const fn number(count: i64) -> f64 {
    count as f64
}
