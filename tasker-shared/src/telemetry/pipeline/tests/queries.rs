//! Alerts, dashboards and runbooks ask questions that Prometheus understands and that make sense.
//!
//! Each expression goes through a parser of `PromQL` that checks types as Prometheus does.

use std::{fs, time::Duration};

use promql_parser::{
    parser::{self, AggregateExpr, Call, Expr, LabelModifier, MatrixSelector, VectorSelector},
    util::{ExprVisitor, walk_expr},
};

use tasker_testing::{DeployedQuery, deployed_queries};

use super::deploy::{documents, scraped};

/// A rate needs two scrapes, and should outlive one that fails; most scrape each minute or sooner.
const SHORTEST_RANGE: Duration = Duration::from_mins(4);

fn queries() -> Vec<DeployedQuery> {
    let mut queries = deployed_queries();
    for (path, text) in documents() {
        if path.extension().is_some_and(|extension| extension == "md") {
            let place = path.display().to_string();
            queries.extend(of_runbook(&text).into_iter().map(|text| DeployedQuery {
                place: format!("{place}: {text}"),
                text,
            }));
        }
    }
    queries
}

/// Each line of the blocks marked as `PromQL`.
fn of_runbook(text: &str) -> Vec<String> {
    let blocks = text.split("```promql\n").skip(1);
    blocks
        .flat_map(|block| block.split("```").next().unwrap().lines())
        .map(str::to_owned)
        .collect()
}

/// Finds what Prometheus would accept and answer with nonsense.
struct Sense<'a> {
    scraped: &'a str,
    place: &'a str,
}

impl Sense<'_> {
    /// The type that is scraped with a metric.
    fn kind(&self, selector: &VectorSelector) -> &str {
        let name = selector.name.as_deref().unwrap();
        let of = |name: &str| {
            let line = format!("# TYPE {name} ");
            let mut lines = self.scraped.lines();
            lines.find_map(|scraped| scraped.strip_prefix(&line))
        };
        let parts = ["_bucket", "_sum", "_count"];
        let whole = parts.iter().find_map(|part| name.strip_suffix(part));
        let kind = of(name).or_else(|| of(whole?));
        kind.unwrap_or_else(|| panic!("{name} is not scraped: {}", self.place))
    }
}

impl ExprVisitor for Sense<'_> {
    type Error = ();

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, ()> {
        match expression {
            Expr::VectorSelector(selector) => {
                assert_eq!(
                    self.kind(selector),
                    "gauge",
                    "no rate of it: {}",
                    self.place
                );
            }
            Expr::Call(Call { func, args }) if func.name == "histogram_quantile" => {
                let Expr::Aggregate(AggregateExpr { modifier, .. }) = &*args.args[1] else {
                    panic!("buckets of different series are not added: {}", self.place);
                };
                let by_bound = modifier.as_ref().is_some_and(|modifier| match modifier {
                    LabelModifier::Include(labels) => labels.labels.contains(&"le".to_owned()),
                    LabelModifier::Exclude(_) => false,
                });
                assert!(by_bound, "bounds get lost: {}", self.place);
            }
            Expr::Call(Call { func, args }) => {
                for argument in &args.args {
                    let Expr::MatrixSelector(MatrixSelector { vs, range, .. }) = &**argument else {
                        continue;
                    };
                    let is_gauge = self.kind(vs) == "gauge";
                    let counts = matches!(func.name, "rate" | "increase");
                    assert_eq!(!counts, is_gauge, "{}", self.place);
                    assert!(*range >= SHORTEST_RANGE, "too short: {}", self.place);
                }
            }
            _ => {}
        }
        Ok(true)
    }
}

#[test]
fn every_query_is_understood_and_asks_for_what_there_is() {
    let scraped = scraped();
    let queries = queries();
    assert!(queries.len() > 80, "{}", queries.len());
    for DeployedQuery { place, text } in &queries {
        let expression = parser::parse(text).unwrap_or_else(|error| panic!("{place}: {error}"));
        let mut sense = Sense {
            scraped: &scraped,
            place,
        };
        walk_expr(&mut sense, &expression).unwrap();
    }
}

/// Steps that nobody can run wait without an end, and would be forgotten.
#[test]
fn steps_that_nobody_can_run_have_their_alert() {
    let rules = documents().into_iter();
    let mut rules = rules.filter(|(path, _)| path.ends_with("prometheus/workers.rules.yml"));
    let (_, rules) = rules.next().unwrap();
    assert!(rules.contains("- alert: TaskerStepsWithoutWorker"));
    assert!(rules.contains("(tasker_steps_without_worker) > 0"));
}

/// A channel that stays full, and a process in which that has spread.
#[test]
fn saturation_has_its_alerts() {
    let rules = documents().into_iter();
    let rules: Vec<_> = rules
        .filter(|(path, _)| path.ends_with("prometheus/channels.rules.yml"))
        .collect();
    let [(path, _)] = &rules[..] else {
        panic!("{rules:?}");
    };
    let rules = fs::read_to_string(path).unwrap();
    for alert in ["TaskerChannelSaturated", "TaskerProcessSaturated"] {
        let rule = rules
            .split("- alert: ")
            .find(|rule| rule.starts_with(alert));
        assert!(rule.unwrap().contains("mpsc_channel_saturation"), "{alert}");
    }
}
