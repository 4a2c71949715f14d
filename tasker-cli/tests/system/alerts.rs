//! Alerts and dashboards ask for what a running system exports: every metric, and every label.

use std::collections::{BTreeMap, BTreeSet};

use promql_parser::parser::{self, AggregateExpr, Expr, LabelModifier, VectorSelector};
use promql_parser::util::{ExprVisitor, walk_expr};
use tasker_testing::{
    CONTINUATION_LIMIT, THROUGH_ORCHESTRATORS, WAIT_TIMEOUT, deployed_queries, wait_until,
};

use super::world::{Role, World, get, http};

/// Succeeds, succeeds when it is retried, and fails in its last attempt.
const OUTCOMES: &str = "\
namespace: graphs
name: outcomes
version: 1.0.0
defaults: { retry: { max_attempts: 2, backoff: fixed, base_ms: 10, jitter: false } }
steps:
  - { name: good, handler: builtin.noop }
  - { name: next, handler: builtin.noop, depends_on: [good] }
  - { name: again, handler: builtin.fail, input: { times: 1 }, depends_on: [next] }
  - { name: never, handler: builtin.fail, depends_on: [next] }
";

/// Metrics that are there once something has gone wrong, or a client subscribes to events. The tests of
/// `tasker-shared` see to it that they are exported then.
const AFTER_AN_INCIDENT: [&str; 9] = [
    "events_dropped_total",
    "events_published_total",
    "mpsc_channel_blocked_send_seconds_bucket",
    "mpsc_channel_blocked_send_seconds_sum",
    "tasker_leases_lost_total",
    "tasker_readiness_discovery_lag_seconds_bucket",
    "tasker_statistics_samples_dropped_total",
    "tasker_steps_without_worker",
    "tasker_supervised_restarts_total",
];

/// Labels that Prometheus adds when it scrapes.
const ADDED: [&str; 1] = ["instance"];

/// The labels of each metric that is exported.
type Exported = BTreeMap<String, BTreeSet<String>>;

async fn exported(role: &Role) -> Exported {
    let url = format!("{}/metrics", role.address);
    let text = http().get(url).send().await.unwrap().text().await.unwrap();
    let mut exported = Exported::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        // A value may hold anything, but the words before `="` are names.
        let labels = labels.split("=\"").filter_map(|part| {
            let name = part.rsplit([',', '"']).next()?;
            (!name.is_empty() && !name.contains('}')).then(|| name.to_owned())
        });
        exported.entry(name.to_owned()).or_default().extend(labels);
    }
    exported
}

/// What a query asks for that is not exported.
struct Missing<'a> {
    exported: &'a Exported,
    metrics: BTreeSet<String>,
    labels: BTreeSet<String>,
}

impl Missing<'_> {
    fn select(&mut self, selector: &VectorSelector) {
        let name = selector.name.as_deref().unwrap();
        let labels = selector.matchers.matchers.iter();
        self.needs(name, labels.map(|matcher| &*matcher.name));
    }

    fn needs<'l>(&mut self, metric: &str, labels: impl Iterator<Item = &'l str>) {
        if AFTER_AN_INCIDENT.contains(&metric) {
            return;
        }
        let Some(known) = self.exported.get(metric) else {
            self.metrics.insert(metric.to_owned());
            return;
        };
        let missing = labels.filter(|label| !known.contains(*label) && !ADDED.contains(label));
        self.labels
            .extend(missing.map(|label| format!("{metric}{{{label}}}")));
    }
}

/// The metrics within an expression.
#[derive(Default)]
struct Selected(BTreeSet<String>);

impl ExprVisitor for Selected {
    type Error = ();

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, ()> {
        if let Expr::VectorSelector(selector) = expression {
            self.0.extend(selector.name.clone());
        }
        if let Expr::MatrixSelector(selector) = expression {
            self.0.extend(selector.vs.name.clone());
        }
        Ok(true)
    }
}

impl ExprVisitor for Missing<'_> {
    type Error = ();

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, ()> {
        match expression {
            Expr::VectorSelector(selector) => self.select(selector),
            Expr::MatrixSelector(selector) => self.select(&selector.vs),
            Expr::Aggregate(AggregateExpr {
                expr,
                modifier: Some(LabelModifier::Include(by)),
                ..
            }) => {
                let mut within = Selected::default();
                walk_expr(&mut within, expr).unwrap();
                for metric in within.0 {
                    self.needs(&metric, by.labels.iter().map(|label| &**label));
                }
            }
            _ => {}
        }
        Ok(true)
    }
}

/// The metrics and labels that deployed queries ask for and that are not among these.
fn missing(exported: &Exported) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut missing = Missing {
        exported,
        metrics: BTreeSet::new(),
        labels: BTreeSet::new(),
    };
    for query in deployed_queries() {
        let expression = parser::parse(&query.text).unwrap();
        walk_expr(&mut missing, &expression).unwrap();
    }
    (missing.metrics, missing.labels)
}

#[tokio::test]
async fn alerts_and_dashboards_ask_for_what_a_running_system_exports() {
    let world = World::start().await;
    world.apply(OUTCOMES).await;
    let orchestrator = world.orchestrator(&[]).await;
    // So that a step follows another in the worker, however the tests are run, and that one is claimed.
    let [_, claimed] = THROUGH_ORCHESTRATORS;
    let worker = world.worker(&[(CONTINUATION_LIMIT, "16"), claimed]).await;
    let url = format!("{}/v1/tasks", orchestrator.address);
    let body = serde_json::json!({ "namespace": "graphs", "name": "outcomes", "context": {} });
    let submitted = http().post(url).json(&body).send().await.unwrap();
    assert!(submitted.status().is_success());
    world.wait_for_the_end().await;
    get(&orchestrator, "/v1/tasks").await;
    let mut all = Exported::new();
    wait_until("the failure is counted", WAIT_TIMEOUT, async || {
        let exhausted = r#"reason="retries_exhausted""#;
        let failed = "tasker_steps_failed_total";
        worker.metric(failed, exhausted).await == 1
    })
    .await;
    wait_until(
        "the database has been looked at",
        WAIT_TIMEOUT,
        async || {
            all = exported(&orchestrator).await;
            all.contains_key("tasker_queue_depth")
        },
    )
    .await;
    for (metric, labels) in exported(&worker).await {
        all.entry(metric).or_default().extend(labels);
    }

    assert!(all["tasker_queue_depth"].contains("namespace"), "{all:#?}");
    let (metrics, labels) = missing(&all);
    assert_eq!((metrics, labels), (BTreeSet::new(), BTreeSet::new()));
    world.end([orchestrator, worker]).await;
}
