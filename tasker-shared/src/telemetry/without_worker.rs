//! The metric of steps that no live worker can run: as it was when it was last looked at.

use std::collections::BTreeMap;

use opentelemetry::{KeyValue, metrics::Meter};

use super::recent::Recent;
use crate::processes::StepsWithoutWorker;

/// Series at most; what is beyond is added up by namespace.
const MOST_SERIES: usize = 200;

/// The label of handlers that have no series of their own.
const OTHER: &str = "other";

/// Steps by namespace and handler.
type Series = BTreeMap<(String, String), i64>;

/// What the metric shows.
pub(super) struct WithoutWorker(Recent<Series>);

impl WithoutWorker {
    /// Makes the instrument, which lives as long as the provider of `meter`.
    pub(super) fn observe(meter: &Meter) -> Self {
        let seen = Recent::unknown();
        let shown = seen.clone();
        meter
            .i64_observable_gauge("tasker_steps_without_worker")
            .with_description(
                "Enqueued steps whose handler no live worker knows, by namespace and handler; \
                 counted up to 1000 each",
            )
            .with_callback(move |observer| {
                shown.show(|series: &Series| {
                    for ((namespace, handler), steps) in series {
                        let labels = [
                            KeyValue::new("namespace", namespace.clone()),
                            KeyValue::new("handler", handler.clone()),
                        ];
                        observer.observe(*steps, &labels);
                    }
                });
            })
            .build();
        Self(seen)
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
        self.0.set(series);
    }
}
