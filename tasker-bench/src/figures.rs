//! Figures: what was measured in each run, the medians, and how they compare with the machine.

use std::str::FromStr;

use anyhow::{Result, bail};
use serde_json::json;

use crate::output::{Output, table};

/// Workload of the figures that tell what the machine can do.
pub(crate) const MACHINE: &str = "machine";

/// Something that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Figure {
    /// Name within its workload.
    pub(crate) name: &'static str,
    /// Unit of the value.
    pub(crate) unit: &'static str,
    /// What it is compared with.
    against: Option<Against>,
}

/// What a figure is compared with, in the same run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Against {
    /// As a multiple of the time that one durable commit takes.
    CommitTime,
    /// As a part of the rate at which PGMQ alone handles messages in batches of a hundred.
    QueueRate,
}

/// Durable one-row commits a second of one client.
pub(crate) const COMMITS_1: Figure = figure("durable_commits_1_client", "commits/s");
/// Messages a second through PGMQ alone, a hundred at a time.
pub(crate) const PGMQ_100: Figure = figure("pgmq_batch_100", "messages/s");

/// A figure that stands for itself.
pub(crate) const fn figure(name: &'static str, unit: &'static str) -> Figure {
    Figure {
        name,
        unit,
        against: None,
    }
}

/// A time in milliseconds, compared with that of a durable commit.
pub(crate) const fn time(name: &'static str) -> Figure {
    Figure {
        name,
        unit: "ms",
        against: Some(Against::CommitTime),
    }
}

/// Steps a second, compared with the rate of PGMQ alone.
pub(crate) const fn throughput(name: &'static str) -> Figure {
    Figure {
        name,
        unit: "steps/s",
        against: Some(Against::QueueRate),
    }
}

/// Where a figure was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Name of the workload.
    pub(crate) workload: &'static str,
    /// Whether the worker went on with dependents by itself; `None` where that makes no difference.
    pub(crate) continuation: Option<bool>,
}

impl Place {
    /// Where the machine itself was measured.
    pub(crate) const fn machine() -> Self {
        Self {
            workload: MACHINE,
            continuation: None,
        }
    }
}

/// What one run measured, in the order of measuring.
#[derive(Debug, Default)]
pub(crate) struct Run(Vec<(Place, Figure, f64)>);

impl Run {
    /// Notes a value.
    pub(crate) fn note(&mut self, place: Place, figure: Figure, value: f64) {
        self.0.push((place, figure, value));
    }

    fn value(&self, place: Place, figure: Figure) -> Option<f64> {
        let noted = self.0.iter().find(|(p, f, _)| (*p, *f) == (place, figure));
        noted.map(|(_, _, value)| *value)
    }

    /// A figure of this run by the measure of the machine that it is compared with, taken beside it.
    fn ratio(&self, place: Place, figure: Figure) -> Option<f64> {
        let value = self.value(place, figure)?;
        match figure.against? {
            Against::CommitTime => Some(value * self.value(place, COMMITS_1)? / 1e3),
            Against::QueueRate => Some(value / self.value(place, PGMQ_100)?),
        }
    }
}

/// What all runs measured.
#[derive(Debug, Default)]
pub(crate) struct Figures(Vec<Run>);

/// What the median of a figure must not be above.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Limit {
    /// Workload and name, with a dot between them.
    figure: String,
    most: f64,
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('=');
        let limit = parts.and_then(|(figure, most)| Some((figure, most.parse().ok()?)));
        let (figure, most) =
            limit.ok_or("expected a figure and a number, as in readiness.p50=10")?;
        Ok(Self {
            figure: figure.to_owned(),
            most,
        })
    }
}

/// A figure over all runs.
struct Summary {
    median: f64,
    runs: Vec<f64>,
    ratio: Option<f64>,
}

impl Figures {
    /// Adds a run.
    pub(crate) fn add(&mut self, run: Run) {
        self.0.push(run);
    }

    /// Prints medians: a table, or a JSON line for each figure.
    pub(crate) fn print(&self, output: Output) -> Result<()> {
        let heading = ["FIGURE", "WITH", "", "WITHOUT", "", "UNIT"];
        let mut rows = vec![heading.map(str::to_owned)];
        let measured: Vec<(Place, Figure)> = self.0.first().map_or_else(Vec::new, |run| {
            run.0
                .iter()
                .map(|(place, figure, _)| (*place, *figure))
                .collect()
        });
        for &(place, figure) in &measured {
            output.json_line(&self.line(place, figure))?;
            let without = Place {
                continuation: Some(false),
                ..place
            };
            // A figure that was measured with and without continuation has one row for both.
            if place.continuation == Some(false) && measured.contains(&(with(place), figure)) {
                continue;
            }
            let [value, compared] = self.cells(place, figure);
            let [other, other_compared] = match place.continuation {
                Some(true) => self.cells(without, figure),
                _ => [String::new(), String::new()],
            };
            let name = format!("{}.{}", place.workload, figure.name);
            let unit = figure.unit.to_owned();
            rows.push([name, value, compared, other, other_compared, unit]);
        }
        output.text(table(&rows))?;
        output.text(
            "\nMedians, with and without continuation. x: times a durable commit; %: of PGMQ alone.",
        )
    }

    /// Fails where the median of a figure is above its limit, with or without continuation.
    pub(crate) fn check(&self, limits: &[Limit]) -> Result<()> {
        for Limit { figure, most } in limits {
            let runs = self.0.first().into_iter().flat_map(|run| &run.0);
            let measured = runs.filter(|(p, f, _)| format!("{}.{}", p.workload, f.name) == *figure);
            let medians = measured.map(|(place, f, _)| (self.summary(*place, *f).median, f.unit));
            let highest = medians.max_by(|(one, _), (other, _)| one.total_cmp(other));
            let Some((median, unit)) = highest else {
                bail!("{figure} was not measured");
            };
            if median > *most {
                bail!(
                    "the median of {figure} is {} {unit}, above {most}",
                    number(median)
                );
            }
        }
        Ok(())
    }

    fn line(&self, place: Place, figure: Figure) -> serde_json::Value {
        let summary = self.summary(place, figure);
        json!({
            "name": format!("{}.{}", place.workload, figure.name),
            "workload": place.workload,
            "continuation": place.continuation,
            "unit": figure.unit,
            "median": summary.median,
            "runs": summary.runs,
            "ratio": summary.ratio,
            "ratio_to": figure.against.map(Against::name),
        })
    }

    fn summary(&self, place: Place, figure: Figure) -> Summary {
        let runs = self.0.iter().filter_map(|run| run.value(place, figure));
        let runs: Vec<f64> = runs.collect();
        let ratios = self.0.iter().filter_map(|run| run.ratio(place, figure));
        let mut ratios: Vec<f64> = ratios.collect();
        Summary {
            median: quantile(&mut runs.clone(), 0.5),
            runs,
            ratio: (!ratios.is_empty()).then(|| quantile(&mut ratios, 0.5)),
        }
    }

    fn cells(&self, place: Place, figure: Figure) -> [String; 2] {
        let summary = self.summary(place, figure);
        if summary.runs.is_empty() {
            return [String::new(), String::new()];
        }
        let compared = figure.against.zip(summary.ratio);
        let compared = compared.map(|(against, ratio)| against.text(ratio));
        [number(summary.median), compared.unwrap_or_default()]
    }
}

const fn with(place: Place) -> Place {
    Place {
        continuation: Some(true),
        ..place
    }
}

impl Against {
    const fn name(self) -> &'static str {
        match self {
            Self::CommitTime => "time of a durable commit",
            Self::QueueRate => "rate of PGMQ in batches of 100",
        }
    }

    fn text(self, ratio: f64) -> String {
        match self {
            Self::CommitTime => format!("{}x", number(ratio)),
            Self::QueueRate => format!("{}%", number(ratio * 100.0)),
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
    fn a_median_above_its_limit_is_a_failure_and_so_is_a_figure_that_is_not_there() {
        let place = Place {
            workload: "readiness",
            continuation: None,
        };
        let mut figures = Figures::default();
        for value in [9.0, 30.0, 10.0] {
            let mut run = Run::default();
            run.note(place, time("p50"), value);
            figures.add(run);
        }
        let check = |limit: &str| figures.check(&[limit.parse().unwrap()]);
        assert!(check("readiness.p50=10").is_ok());
        assert!(check("readiness.p50=9.9").is_err());
        assert!(check("readiness.p51=10").is_err());
        assert!("readiness.p50".parse::<Limit>().is_err());
    }

    #[test]
    fn times_are_compared_with_a_commit_beside_them() {
        let place = Place {
            workload: "linear4",
            continuation: Some(true),
        };
        let mut run = Run::default();
        run.note(place, COMMITS_1, 2_000.0);
        run.note(Place::machine(), COMMITS_1, 500.0);
        run.note(place, time("latency_p50"), 10.0);
        assert_eq!(run.ratio(place, time("latency_p50")), Some(20.0));
        assert_eq!(run.ratio(Place::machine(), COMMITS_1), None);
    }
}
