//! Alerts, dashboards and runbooks ask questions that Prometheus understands and that make sense.
//!
//! Each expression goes through a parser of `PromQL` that checks types as Prometheus does.

use std::{fs, time::Duration};

use promql_parser::{
    parser::{self, AggregateExpr, Call, Expr, LabelModifier, MatrixSelector, VectorSelector},
    util::{ExprVisitor, walk_expr},
};

use super::deploy::{documents, scraped};

/// A rate needs two scrapes, and should outlive one that fails; most scrape each minute or sooner.
const SHORTEST_RANGE: Duration = Duration::from_mins(4);

/// An expression and where it stands.
struct Query {
    place: String,
    text: String,
}

fn queries() -> Vec<Query> {
    let mut queries = Vec::new();
    for (path, text) in documents() {
        let extension = path.extension().and_then(|extension| extension.to_str());
        let texts = match extension {
            Some("yml") => of_rules(&text),
            Some("json") => of_dashboard(&text),
            _ => of_runbook(&text),
        };
        let place = path.display().to_string();
        queries.extend(texts.into_iter().map(|text| Query {
            place: format!("{place}: {text}"),
            text,
        }));
    }
    queries
}

/// What follows each `expr:`, on its line or folded on deeper ones.
fn of_rules(text: &str) -> Vec<String> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut lines = text.lines().peekable();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let Some(rest) = line.trim_start().strip_prefix("expr: ") else {
            continue;
        };
        let mut expression = rest.trim_start_matches(">-").to_owned();
        while let Some(more) = lines.next_if(|next| indent(next) > indent(line)) {
            expression = format!("{expression} {}", more.trim());
        }
        found.push(expression.trim().to_owned());
    }
    assert_eq!(found.len(), text.matches("- alert: ").count());
    found
}

/// The queries of all panels, with a range where Grafana puts one.
fn of_dashboard(text: &str) -> Vec<String> {
    let dashboard: serde_json::Value = serde_json::from_str(text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
    targets
        .map(|target| target["expr"].as_str().unwrap())
        .map(|query| query.replace("$__rate_interval", "4m"))
        .collect()
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
                    assert_eq!(func.name != "rate", is_gauge, "{}", self.place);
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
    assert!(queries.len() > 15, "{}", queries.len());
    for Query { place, text } in &queries {
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
