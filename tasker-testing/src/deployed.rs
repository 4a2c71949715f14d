//! The queries of the alert rules and dashboards that are deployed.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A query, and where it stands.
#[derive(Debug)]
pub struct DeployedQuery {
    /// Its file and itself.
    pub place: String,
    /// The expression, with a range where Grafana puts one.
    pub text: String,
}

/// Every query of `deploy/prometheus` and `deploy/grafana`.
pub fn deployed_queries() -> Vec<DeployedQuery> {
    let files = files("prometheus").into_iter().chain(files("grafana"));
    let of_file = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a deployed file can be read");
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let texts = if name.ends_with(".rules.yml") {
            of_rules(&text)
        } else if name.ends_with(".json") {
            of_dashboard(&text)
        } else {
            Vec::new()
        };
        let place = |text: &String| format!("{}: {text}", path.display());
        let queries = texts.into_iter().map(|text| DeployedQuery {
            place: place(&text),
            text,
        });
        queries.collect::<Vec<_>>()
    };
    files.flat_map(of_file).collect()
}

fn files(folder: &str) -> Vec<PathBuf> {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    let entries = fs::read_dir(deploy.join(folder)).expect("the folder is there");
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
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

/// The queries of all panels.
fn of_dashboard(text: &str) -> Vec<String> {
    let dashboard: Value = serde_json::from_str(text).expect("a dashboard is JSON");
    let list = |value: &Value| value.as_array().cloned().expect("it is a list");
    let panels = list(&dashboard["panels"]).into_iter();
    let targets = panels.flat_map(|panel| list(&panel["targets"]));
    targets
        .map(|target| {
            let query = target["expr"].as_str().expect("a target has a query");
            query.replace("$__rate_interval", "4m")
        })
        .collect()
}
