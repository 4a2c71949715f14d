//! The names of all metrics, and what each says.
//!
//! Names are written as they are scraped. Labels have few values: the code's own words, namespaces,
//! handlers registered in the process, routes. The SDK folds what passes 2,000 label sets together.

use opentelemetry::metrics::{Counter, Histogram, Meter, UpDownCounter};

/// Seconds, from a tenth of a millisecond: most of what is timed is a short database call.
const SECONDS: [f64; 19] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 10.0, 30.0, 60.0,
];

/// Seconds that a handler runs: up to the longest handlers, which work for hours.
const HANDLER_SECONDS: [f64; 16] = [
    0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0,
    14_400.0,
];

/// Seconds until polling discovers something: up to the longest intervals.
const POLLING_SECONDS: [f64; 12] = [
    0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 45.0, 60.0, 300.0, 900.0, 3600.0,
];

/// Rows that one call handles.
const BATCH: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0];

/// Declares the metrics, one entry each: field, kind, name as it is scraped, and what it says.
macro_rules! instruments {
    ($($field:ident: $kind:ident($name:literal, $help:literal $(, $bounds:expr)?);)+) => {
        /// One field for each metric.
        pub(super) struct Instruments {
            $(pub(super) $field: instruments!(@type $kind),)+
        }

        impl Instruments {
            pub(super) fn new(meter: &Meter) -> Self {
                let make = Maker(meter);
                Self { $($field: make.$kind($name, $help $(, $bounds)?),)+ }
            }
        }
    };
    (@type counter) => { Counter<u64> };
    (@type labelled) => { Counter<u64> };
    (@type level) => { UpDownCounter<i64> };
    (@type seconds) => { Histogram<f64> };
    (@type histogram) => { Histogram<f64> };
}

instruments! {
    tasks_submitted: labelled("tasker_tasks_submitted_total", "Tasks submitted");
    tasks_enqueued_on_submission: counter(
        "tasker_tasks_enqueued_on_submission_total",
        "Tasks whose first steps were enqueued by the transaction that submitted them, without a claim"
    );
    tasks_finished: labelled("tasker_tasks_finished_total", "Tasks that ended, by state");
    steps_claimed: labelled("tasker_steps_claimed_total", "Steps put in queues");
    steps_enqueued_on_completion: counter(
        "tasker_steps_enqueued_on_completion_total",
        "Steps that were enqueued by the transaction that made them ready, without a claim"
    );
    claim_duration: seconds("tasker_claim_duration_seconds", "Time of a call that claims steps");
    claim_batch_steps: histogram("tasker_claim_batch_steps", "Steps claimed by one call", &BATCH);
    ready_to_claimed: seconds("tasker_ready_to_claimed_seconds", "Time from ready to claimed");
    completion_to_enqueued: seconds(
        "tasker_completion_to_enqueued_seconds",
        "Time from the end of a step to the claim that enqueues its successors, except those that \
         are enqueued with its end or handed on to its worker"
    );
    completion_to_continued: seconds(
        "tasker_completion_to_continued_seconds",
        "Time from the end of a handler to the start of the step that is handed on to its worker"
    );
    timers_fired: counter("tasker_timers_fired_total", "Due retries made ready");
    readiness_events_received: labelled(
        "task_readiness_events_received",
        "Readiness events, by type"
    );
    readiness_command_sent: counter(
        "task_readiness_command_sent",
        "Readiness commands sent, for events and for what polling found"
    );
    readiness_latency: seconds("task_readiness_latency", "Seconds from readiness event to command");
    fallback_polls_executed: counter("fallback_polls_executed", "Polling looks for ready tasks");
    fallback_tasks_found: counter("fallback_tasks_found", "Ready tasks found by polling");
    tasks_ready: counter("tasks_ready", "Tasks with ready steps that were claimed");
    tasks_discovered_by_polling: counter(
        "tasks_discovered_by_polling",
        "Tasks whose notification was missed: all else was claimed when polling discovered them"
    );
    discovery_lag: histogram(
        "tasker_readiness_discovery_lag_seconds",
        "Time from ready to claimed of tasks whose notification was missed",
        &POLLING_SECONDS
    );
    notifications_sent: labelled(
        "tasker_notifications_sent_total",
        "Tasks, timers and queues that the process announced to others, by channel"
    );
    steps_received: counter("tasker_steps_received_total", "Steps received by workers");
    step_outcomes: labelled("tasker_step_outcomes_total", "Outcomes reported, by outcome");
    steps_failed: labelled(
        "tasker_steps_failed_total",
        "Steps that failed permanently, by namespace and reason: no attempt was left, or their \
         handler said so"
    );
    stale_outcomes: counter("tasker_stale_outcomes_total", "Outcomes of attempts that were over");
    outcomes_waiting: level(
        "tasker_outcomes_waiting",
        "Outcomes that the database did not take yet"
    );
    samples_written: counter("tasker_statistics_samples_written_total", "Samples of statistics stored");
    samples_dropped: labelled(
        "tasker_statistics_samples_dropped_total",
        "Samples of statistics that were not stored, by reason: no place in the buffer, a database \
         that did not take them, a task that is unknown"
    );
    tasks_pruned: labelled(
        "tasker_tasks_pruned_total",
        "Tasks deleted because their retention was over, by namespace and outcome"
    );
    step_duration: histogram(
        "tasker_step_duration_seconds",
        "Time a handler ran",
        &HANDLER_SECONDS
    );
    running_steps: level("tasker_worker_running_steps", "Handlers running");
    concurrency: level("tasker_worker_concurrency", "Most handlers that may run");
    messages_archived: counter(
        "tasker_messages_archived_total",
        "Messages of other programs in a queue of ours, moved to its archive"
    );
    steps_locked: counter(
        "tasker_claim_steps_locked_total",
        "Ready steps left out of a claim because another transaction held them or their task"
    );
    steps_released: counter("tasker_steps_released_total", "Steps given back unstarted");
    leases_lost: labelled("tasker_leases_lost_total", "Running steps whose lease was lost");
    events_published: labelled("events_published_total", "Life-cycle events published");
    events_dropped: labelled(
        "events_dropped_total",
        "Life-cycle events that were dropped, or missed by a subscriber"
    );
    event_subscribers: level("tasker_event_subscribers", "Subscribers of life-cycle events");
    wakeups: labelled("tasker_wakeups_total", "Wake-ups of loops, by reason");
    processes_lost: labelled(
        "tasker_processes_lost_total",
        "Processes that fell silent without leaving, by role"
    );
    supervised_restarts: labelled(
        "tasker_supervised_restarts_total",
        "Restarts of background loops"
    );
    database_calls: labelled("tasker_database_calls_total", "Database calls, by result");
    database_call_duration: seconds("tasker_database_call_seconds", "Time of database calls");
    listener_connections: labelled(
        "tasker_listener_connections_total",
        "Listening connections made"
    );
    notifications_ignored: labelled(
        "tasker_notifications_ignored_total",
        "Notifications that could not be read"
    );
    notifications: labelled("tasker_notifications_total", "Notifications received, by channel");
    http_requests: labelled("tasker_http_requests_total", "HTTP requests answered");
    http_request_duration: seconds("tasker_http_request_seconds", "Time of HTTP requests");
}

struct Maker<'a>(&'a Meter);

impl Maker<'_> {
    /// A counter without labels. It is there from the start, at 0, so that an alert on it works
    /// before it first counts.
    fn counter(&self, name: &'static str, description: &'static str) -> Counter<u64> {
        let counter = self.labelled(name, description);
        counter.add(0, &[]);
        counter
    }

    fn labelled(&self, name: &'static str, description: &'static str) -> Counter<u64> {
        self.0
            .u64_counter(name)
            .with_description(description)
            .build()
    }

    fn level(&self, name: &'static str, description: &'static str) -> UpDownCounter<i64> {
        self.0
            .i64_up_down_counter(name)
            .with_description(description)
            .build()
    }

    fn seconds(&self, name: &'static str, description: &'static str) -> Histogram<f64> {
        self.histogram(name, description, &SECONDS)
    }

    fn histogram(
        &self,
        name: &'static str,
        description: &'static str,
        bounds: &[f64],
    ) -> Histogram<f64> {
        let histogram = self.0.f64_histogram(name).with_description(description);
        histogram.with_boundaries(bounds.to_vec()).build()
    }
}
