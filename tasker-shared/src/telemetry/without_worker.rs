//! The metric of steps that no live worker can run: as it was when it was last looked at.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry::{KeyValue, metrics::Meter};

use crate::processes::StepsWithoutWorker;

/// Series at most; what is beyond is added up by namespace.
const MOST_SERIES: usize = 200;

/// The label of handlers that have no series of their own.
const OTHER: &str = "other";

/// Steps by namespace and handler.
type Series = BTreeMap<(String, String), i64>;

/// What the metric shows.
#[derive(Clone, Default)]
pub(super) struct Shown(Arc<Mutex<Series>>);

impl Shown {
    /// Makes the instrument, which lives as long as the provider of `meter`.
    pub(super) fn observe(meter: &Meter) -> Self {
        let shown = Self::default();
        let observed = shown.clone();
        meter
            .i64_observable_gauge("tasker_steps_without_worker")
            .with_description(
                "Enqueued steps whose handler no live worker knows, by namespace and handler; \
                 counted up to 1000 each",
            )
            .with_callback(move |observer| {
                for ((namespace, handler), steps) in observed.lock().iter() {
                    let labels = [
                        KeyValue::new("namespace", namespace.clone()),
                        KeyValue::new("handler", handler.clone()),
                    ];
                    observer.observe(*steps, &labels);
                }
            })
            .build();
        shown
    }

    /// Shows these in place of earlier ones.
    pub(super) fn set(&self, steps: &[StepsWithoutWorker]) {
        let mut series = Series::new();
        for found in steps {
            let handler = if series.len() < MOST_SERIES {
                &found.handler
            } else {
                OTHER
            };
            let key = (found.namespace.clone(), handler.to_owned());
            *series.entry(key).or_default() += i64::from(found.steps);
        }
        *self.lock() = series;
    }

    fn lock(&self) -> MutexGuard<'_, Series> {
        // A map that is replaced whole is whole after a panic, too.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
