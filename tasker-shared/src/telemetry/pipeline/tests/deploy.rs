//! Dashboards, alerts and runbooks name only metrics that are scraped, and labels that those have.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::*;

/// Labels that Prometheus adds by itself, the last three to alerts that fire.
const ADDED: [&str; 5] = ["instance", "job", "alertname", "alertstate", "severity"];

/// What a metric of ours starts with.
const PREFIXES: [&str; 8] = [
    "tasks_ready",
    "tasks_discovered_",
    "mpsc_",
    "tasker_",
    "events_",
    "fallback_",
    "task_readiness_events_",
    "task_readiness_command_",
];

pub(super) fn scraped() -> String {
    let pipeline = pipeline();
    record_everything(&pipeline.metrics);
    let _ends = channel_with_a_wait("deploy");
    pipeline.render()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                files_below(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

/// The files that name metrics, with their texts.
pub(super) fn documents() -> Vec<(PathBuf, String)> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folders = [
        "deploy/grafana",
        "deploy/kubernetes/keda",
        "deploy/prometheus",
        "docs/architecture-decisions",
        "docs/operations",
    ];
    let files = folders
        .iter()
        .flat_map(|folder| files_below(&workspace.join(folder)));
    files
        .map(|path| (path.clone(), fs::read_to_string(&path).unwrap()))
        .collect()
}

fn is_between_words(next: char) -> bool {
    !next.is_ascii_alphanumeric() && next != '_'
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_between_words)
}

/// Queries hold little but metrics. Text has other names too, of crates, keys and SQL functions.
fn is_metric(word: &str, is_text: bool) -> bool {
    if is_text {
        return word.ends_with("_total") || word.starts_with("mpsc_channel_");
    }
    PREFIXES.iter().any(|prefix| word.starts_with(prefix))
}

#[test]
fn deployed_files_name_only_metrics_that_are_scraped() {
    let scraped = scraped();
    let known: BTreeSet<_> = scraped
        .lines()
        .map(|line| line.trim_start_matches("# TYPE "))
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    let mut named = BTreeSet::new();
    for (path, text) in documents() {
        let is_text = path.extension().is_some_and(|extension| extension == "md");
        for metric in words(&text).filter(|word| is_metric(word, is_text)) {
            assert!(known.contains(metric), "{metric} in {}", path.display());
            if !is_text {
                named.insert(metric.to_owned());
            }
        }
    }
    let of_channels = known
        .iter()
        .filter(|metric| metric.starts_with("mpsc_") || metric.starts_with("events_"));
    let watched = of_channels.filter(|metric| named.contains(**metric));
    assert!(watched.count() >= 9, "the dashboard shows the channels");
}

/// The names within the braces that follow metrics, and in `by (…)` and `on (…)`.
fn labels(text: &str) -> BTreeSet<String> {
    let mut labels = BTreeSet::new();
    for clause in ["by (", "on ("] {
        for (at, _) in text.match_indices(clause) {
            let list = text[at + clause.len()..].split(')').next().unwrap();
            labels.extend(
                words(list)
                    .filter(|word| !word.is_empty())
                    .map(str::to_owned),
            );
        }
    }
    for matcher in ["=~\\\"", "=\\\"", "!=\"", "=\""] {
        for (at, _) in text.match_indices(matcher) {
            let name = text[..at].rsplit(is_between_words).next().unwrap();
            labels.extend((!name.is_empty()).then(|| name.to_owned()));
        }
    }
    labels
}

#[test]
fn deployed_files_select_by_labels_that_are_scraped() {
    let known = labels(&scraped());
    assert!(known.contains("channel") && known.contains("action"));
    for (path, text) in documents() {
        if path.components().any(|part| part.as_os_str() == "deploy") {
            for label in labels(&text) {
                let is_known = known.contains(&label) || ADDED.contains(&label.as_str());
                assert!(is_known, "label {label} in {}", path.display());
            }
        }
    }
}

#[test]
fn dashboards_can_be_imported_and_their_panels_say_what_they_show() {
    let is_dashboard = |path: &Path| {
        path.extension()
            .is_some_and(|extension| extension == "json")
    };
    let files = documents().into_iter();
    let dashboards: Vec<_> = files.filter(|(path, _)| is_dashboard(path)).collect();
    assert!(dashboards.len() >= 5);
    for (path, text) in dashboards {
        let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert_eq!(dashboard["uid"], format!("tasker-{name}"));
        assert!(dashboard["schemaVersion"].as_i64().unwrap() >= 39);
        assert_eq!(dashboard["templating"]["list"][0]["type"], "datasource");
        let panels = dashboard["panels"].as_array().unwrap();
        assert!(panels.len() > 5);
        for panel in panels {
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{panel}");
            let says = |text: &serde_json::Value| !text.as_str().unwrap().is_empty();
            assert!(says(&panel["title"]) && says(&panel["description"]));
            assert!(says(&panel["fieldConfig"]["defaults"]["unit"]), "{panel}");
            let targets = panel["targets"].as_array().unwrap();
            assert!(!targets.is_empty(), "{panel}");
            for target in targets {
                assert!(says(&target["expr"]), "{panel}");
            }
        }
    }
}
