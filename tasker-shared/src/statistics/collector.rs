//! Decides what is sampled, and keeps it until it is written.

use std::time::Duration;

use crossbeam_queue::ArrayQueue;

use crate::config::StatisticsConfig;
use crate::ids::TaskUuid;
use crate::telemetry::metrics;

/// What is timed, from one moment in the life of a step to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimedEvent {
    /// A step that became ready was put into its queue.
    ReadyToEnqueued,
    /// A worker received it from there.
    EnqueuedToReceived,
    /// Its handler ended.
    ReceivedToEnded,
    /// Its outcome was recorded, and what follows it is ready.
    EndedToSuccessorsReady,
    /// A notification became a command of the orchestrator.
    NotificationToCommand,
}

impl TimedEvent {
    /// The name, as the database has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadyToEnqueued => "ready_to_enqueued",
            Self::EnqueuedToReceived => "enqueued_to_received",
            Self::ReceivedToEnded => "received_to_ended",
            Self::EndedToSuccessorsReady => "ended_to_successors_ready",
            Self::NotificationToCommand => "notification_to_command",
        }
    }
}

/// One attempt of a step, as far as statistics know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampledStep {
    /// Its number in the task.
    pub number: i32,
    /// The receipt of the attempt.
    pub receipt: i32,
}

/// An event that took some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lasted {
    /// What is timed.
    pub event: TimedEvent,
    /// The task.
    pub task_uuid: TaskUuid,
    /// The step, where it is about one.
    pub step: Option<SampledStep>,
    /// Priority of the task.
    pub priority: i32,
    /// How long it took; `None` where the database knows: the time for which a step was enqueued.
    pub latency: Option<Duration>,
    /// Whether it ended badly.
    pub failed: bool,
}

/// A sample, and what it stands for.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) lasted: Lasted,
    pub(super) class: PriorityClass,
    /// How many events it stands for.
    pub(super) weight: f64,
}

/// How urgent tasks are, as far as sampling tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PriorityClass {
    Low,
    Normal,
    High,
    Urgent,
}

impl PriorityClass {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Urgent => "urgent",
        }
    }
}

/// Samples latencies of events into a buffer, without waiting for anybody.
#[derive(Debug)]
pub struct SampledStatisticsCollector {
    config: StatisticsConfig,
    samples: ArrayQueue<Sample>,
}

impl SampledStatisticsCollector {
    /// A collector with an empty buffer.
    pub fn new(config: StatisticsConfig) -> Self {
        let samples = ArrayQueue::new(config.buffer_size);
        Self { config, samples }
    }

    /// Keeps the event, or not, as its priority has it. Takes less than a microsecond.
    pub fn record_if_sampled(&self, lasted: Lasted) {
        let class = self.class(lasted.priority);
        let rate = self.rate(class);
        if !self.config.enabled || (rate < 1.0 && fastrand::f64() >= rate) {
            return;
        }
        let weight = 1.0 / rate;
        let sample = Sample {
            lasted,
            class,
            weight,
        };
        if self.samples.push(sample).is_err() {
            metrics().samples_dropped("buffer_full", 1);
        }
    }

    /// Up to `most` samples, the oldest first.
    pub(super) fn take(&self, most: usize) -> Vec<Sample> {
        std::iter::from_fn(|| self.samples.pop())
            .take(most)
            .collect()
    }

    pub(super) const fn config(&self) -> &StatisticsConfig {
        &self.config
    }

    const fn class(&self, priority: i32) -> PriorityClass {
        let from = &self.config.priorities;
        if priority >= from.urgent {
            PriorityClass::Urgent
        } else if priority >= from.high {
            PriorityClass::High
        } else if priority >= from.normal {
            PriorityClass::Normal
        } else {
            PriorityClass::Low
        }
    }

    const fn rate(&self, class: PriorityClass) -> f64 {
        let rates = &self.config.sampling_rates;
        match class {
            PriorityClass::Low => rates.low,
            PriorityClass::Normal => rates.normal,
            PriorityClass::High => rates.high,
            PriorityClass::Urgent => rates.urgent,
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::config::{PriorityClassesConfig, SamplingRatesConfig};

    fn collector(buffer_size: usize) -> SampledStatisticsCollector {
        SampledStatisticsCollector::new(StatisticsConfig {
            enabled: true,
            buffer_size,
            priorities: PriorityClassesConfig {
                urgent: 100,
                high: 10,
                normal: 0,
            },
            sampling_rates: SamplingRatesConfig {
                urgent: 1.0,
                high: 0.5,
                normal: 0.1,
                low: 0.01,
            },
            ..StatisticsConfig::default()
        })
    }

    fn lasted(priority: i32) -> Lasted {
        Lasted {
            event: TimedEvent::ReadyToEnqueued,
            task_uuid: TaskUuid(Uuid::from_u128(1)),
            step: None,
            priority,
            latency: Some(Duration::from_millis(1)),
            failed: false,
        }
    }

    /// Each class: the share that is kept, within ten standard deviations, and what a sample stands for.
    #[test]
    #[expect(
        clippy::float_cmp,
        reason = "weights are quotients of what is configured"
    )]
    fn the_more_urgent_a_task_the_more_of_its_events_are_kept() {
        const EVENTS: u32 = 100_000;
        let collector = collector(EVENTS as usize);
        for (priority, rate, class) in [
            (100, 1.0, PriorityClass::Urgent),
            (99, 0.5, PriorityClass::High),
            (9, 0.1, PriorityClass::Normal),
            (-1, 0.01, PriorityClass::Low),
        ] {
            for _ in 0..EVENTS {
                collector.record_if_sampled(lasted(priority));
            }

            let kept = collector.take(usize::MAX);

            let expected = f64::from(EVENTS) * rate;
            let deviation = (expected * (1.0 - rate)).sqrt();
            let count = f64::from(u32::try_from(kept.len()).unwrap());
            assert!((count - expected).abs() <= 10.0 * deviation, "{count}");
            assert!(
                kept.iter()
                    .all(|it| it.class == class && it.weight == 1.0 / rate)
            );
        }
    }

    #[test]
    fn a_full_buffer_keeps_what_it_has() {
        let collector = collector(2);
        for priority in [100, 101, 102] {
            collector.record_if_sampled(lasted(priority));
        }

        let kept = collector.take(usize::MAX);

        let priorities: Vec<_> = kept.iter().map(|it| it.lasted.priority).collect();
        assert_eq!(priorities, [100, 101]);
    }

    #[test]
    fn nothing_is_kept_where_that_is_switched_off() {
        let mut collector = collector(2);
        collector.config.enabled = false;

        collector.record_if_sampled(lasted(100));

        assert!(collector.take(usize::MAX).is_empty());
    }
}
