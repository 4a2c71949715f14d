//! Figures: what was measured in each run, the medians, and how they compare with the machine.

use serde_json::json;

use crate::drawing::Paint;
use crate::failure::Failure;
use crate::output::Output;
use crate::table::{Table, plain};

/// Something that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Measure {
    /// Name, with its workload in front.
    pub(crate) name: &'static str,
    /// Unit of the value.
    pub(crate) unit: &'static str,
    /// What it is compared with.
    pub(crate) against: Option<Against>,
}

/// What a figure is compared with, in the same run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Against {
    /// As a multiple of the time that one durable commit takes.
    CommitTime,
    /// As a part of the rate at which PGMQ alone handles messages in batches of a hundred.
    QueueRate,
}

/// Durable one-row commits a second of one client.
pub(crate) const COMMITS_1: Measure = rate("machine.durable_commits_1_client", "commits/s");
/// Durable one-row commits a second of sixteen clients.
pub(crate) const COMMITS_16: Measure = rate("machine.durable_commits_16_clients", "commits/s");
/// Time from NOTIFY to its arrival at another connection.
pub(crate) const NOTIFY: Measure = Measure {
    name: "machine.notify_round_trip_p50",
    unit: "ms",
    against: Some(Against::CommitTime),
};
/// Messages a second through PGMQ, one at a time.
pub(crate) const PGMQ_1: Measure = rate("machine.pgmq_batch_1", "messages/s");
/// Messages a second through PGMQ, ten at a time.
pub(crate) const PGMQ_10: Measure = rate("machine.pgmq_batch_10", "messages/s");
/// Messages a second through PGMQ, a hundred at a time.
pub(crate) const PGMQ_100: Measure = rate("machine.pgmq_batch_100", "messages/s");
/// Time of a task, median.
pub(crate) const LATENCY_P50: Measure = time("linear4.latency_p50");
/// Time of a task, 95 of 100 are faster.
pub(crate) const LATENCY_P95: Measure = time("linear4.latency_p95");
/// Time of a task, 99 of 100 are faster.
pub(crate) const LATENCY_P99: Measure = time("linear4.latency_p99");
/// Time from the end of a step to the start of the next, median.
pub(crate) const STEP_TO_STEP: Measure = time("linear4.step_to_step_p50");
/// Steps a second when many tasks come at once.
pub(crate) const THROUGHPUT: Measure = Measure {
    name: "linear4.throughput",
    unit: "steps/s",
    against: Some(Against::QueueRate),
};
/// WAL of a step.
pub(crate) const WAL: Measure = rate("linear4.wal_per_step", "bytes");
/// Transactions that write, of a step.
pub(crate) const TRANSACTIONS: Measure = rate("linear4.write_transactions_per_step", "");
/// Processor time of the orchestrator for a thousand steps.
pub(crate) const CPU_ORCHESTRATOR: Measure = rate("linear4.cpu_orchestrator_per_1000_steps", "s");
/// Processor time of the worker for a thousand steps.
pub(crate) const CPU_WORKER: Measure = rate("linear4.cpu_worker_per_1000_steps", "s");
/// Processor time of PostgreSQL for a thousand steps.
pub(crate) const CPU_POSTGRES: Measure = rate("linear4.cpu_postgres_per_1000_steps", "s");
/// Most memory of the orchestrator.
pub(crate) const RSS_ORCHESTRATOR: Measure = rate("linear4.peak_rss_orchestrator", "MiB");
/// Most memory of the worker.
pub(crate) const RSS_WORKER: Measure = rate("linear4.peak_rss_worker", "MiB");

const fn rate(name: &'static str, unit: &'static str) -> Measure {
    Measure {
        name,
        unit,
        against: None,
    }
}

const fn time(name: &'static str) -> Measure {
    Measure {
        name,
        unit: "ms",
        against: Some(Against::CommitTime),
    }
}

/// What one run measured, in the order of measuring.
#[derive(Debug, Default)]
pub(crate) struct Run(Vec<(Measure, f64)>);

impl Run {
    /// Notes a value.
    pub(crate) fn note(&mut self, measure: Measure, value: f64) {
        self.0.push((measure, value));
    }

    fn value(&self, measure: Measure) -> Option<f64> {
        self.0
            .iter()
            .find(|(noted, _)| *noted == measure)
            .map(|(_, value)| *value)
    }

    /// A figure of this run by the measure of the machine that it is compared with.
    fn ratio(&self, measure: Measure) -> Option<f64> {
        let value = self.value(measure)?;
        match measure.against? {
            Against::CommitTime => Some(value * self.value(COMMITS_1)? / 1e3),
            Against::QueueRate => Some(value / self.value(PGMQ_100)?),
        }
    }
}

/// What all runs measured.
#[derive(Debug, Default)]
pub(crate) struct Figures(Vec<Run>);

impl Figures {
    /// Adds a run.
    pub(crate) fn add(&mut self, run: Run) {
        self.0.push(run);
    }

    /// Prints medians: a table, or a JSON line for each figure.
    pub(crate) fn print(&self, output: Output) -> Result<(), Failure> {
        let mut table = Table::new(&["FIGURE", "MEDIAN", "UNIT", "COMPARED", "RUNS"]);
        let measures = self.0.first().map(|run| run.0.iter().map(|(m, _)| *m));
        for measure in measures.into_iter().flatten() {
            let runs: Vec<f64> = self.0.iter().filter_map(|run| run.value(measure)).collect();
            let ratios = self.0.iter().filter_map(|run| run.ratio(measure));
            let value = quantile(&mut runs.clone(), 0.5);
            let ratio = measure
                .against
                .map(|against| (against, quantile(&mut ratios.collect::<Vec<_>>(), 0.5)));
            output.json_line(&json!({
                "name": measure.name,
                "unit": measure.unit,
                "median": value,
                "runs": runs,
                "ratio": ratio.map(|(_, ratio)| ratio),
                "ratio_to": ratio.map(|(against, _)| against.name()),
            }))?;
            let compared = ratio.map(|(against, ratio)| against.text(ratio));
            let runs: Vec<String> = runs.iter().map(|&value| number(value)).collect();
            table.row([
                plain(measure.name),
                (number(value), Paint::Bold),
                plain(measure.unit),
                plain(compared.unwrap_or_default()),
                (runs.join(" "), Paint::Dim),
            ]);
        }
        output.text(table.lines(output.look(false)).join("\n"))
    }
}

impl Against {
    const fn name(self) -> &'static str {
        match self {
            Self::CommitTime => "time of a durable commit",
            Self::QueueRate => "machine.pgmq_batch_100",
        }
    }

    fn text(self, ratio: f64) -> String {
        match self {
            Self::CommitTime => format!("{} durable commits", number(ratio)),
            Self::QueueRate => format!("{} of PGMQ alone", number(ratio)),
        }
    }
}

/// The value below which the part `q` of all lies; 0 where there are none.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "numbers of samples are small, and the part is between 0 and 1"
)]
pub(crate) fn quantile(values: &mut [f64], q: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let rank = (values.len() as f64 * q).ceil() as usize;
    let at = rank.clamp(1, values.len().max(1)) - 1;
    values.get(at).copied().unwrap_or(0.0)
}

/// A number with three digits that mean something.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_a_value_that_was_measured() {
        let mut values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        for (q, expected) in [
            (0.5, 50.0),
            (0.95, 95.0),
            (0.99, 99.0),
            (1.0, 100.0),
            (0.0, 1.0),
        ] {
            assert!(
                (quantile(&mut values, q) - expected).abs() < f64::EPSILON,
                "{q}"
            );
        }
        assert!(quantile(&mut [], 0.5).abs() < f64::EPSILON);
    }

    #[test]
    fn times_are_compared_with_a_commit_of_the_same_run() {
        let mut run = Run::default();
        run.note(COMMITS_1, 2_000.0);
        run.note(LATENCY_P50, 10.0);
        assert_eq!(run.ratio(LATENCY_P50), Some(20.0));
        assert_eq!(run.ratio(COMMITS_1), None);
    }
}
