//! Each alert says how bad it is and what to do, waits before it fires, and has a test in which it does.

use super::deploy::documents;

const RUNBOOK: &str = "docs/operations/alerts.md";

/// The texts of files whose names end like this.
fn texts(end: &str) -> Vec<String> {
    let files = documents().into_iter();
    let files = files.filter(|(path, _)| path.to_string_lossy().ends_with(end));
    files.map(|(_, text)| text).collect()
}

/// The rules: each with its name.
fn rules() -> Vec<(String, String)> {
    let files = texts(".rules.yml");
    let rules = files
        .iter()
        .flat_map(|text| text.split("- alert: ").skip(1));
    let rules = rules.map(|rule| (rule.lines().next().unwrap().to_owned(), rule.to_owned()));
    rules.collect()
}

#[test]
fn every_alert_has_what_an_operator_needs() {
    let rules = rules();
    assert!(rules.len() > 20);
    let runbook = texts(RUNBOOK).remove(0);
    for (name, rule) in rules {
        assert!(rule.contains("\n        for: "), "{name}");
        let severities = ["info", "warning", "critical"];
        let severity = severities.map(|severity| rule.contains(&format!("severity: {severity}\n")));
        assert!(severity.contains(&true), "{name}");
        for annotation in ["summary", "description"] {
            assert!(rule.contains(&format!("{annotation}: ")), "{name}");
        }
        let anchor = format!("runbook: {RUNBOOK}#{}\n", name.to_lowercase());
        assert!(rule.contains(&anchor), "{name}");
        assert!(
            runbook.contains(&format!("### {name}\n")),
            "{name} in {RUNBOOK}"
        );
    }
}

#[test]
fn every_alert_fires_in_a_test() {
    let tests = texts(".test.yml").join("\n");
    for (name, _) in rules() {
        let firing = format!("labels: 'ALERTS{{alertname=\"{name}\",alertstate=\"firing\"");
        let expected = format!("alertname: {name}\n        exp_alerts:\n          - exp_labels:");
        assert!(
            tests.contains(&firing) || tests.contains(&expected),
            "{name}"
        );
    }
}

#[test]
fn every_section_of_the_runbook_is_of_an_alert() {
    let rules = rules();
    let runbook = texts(RUNBOOK).remove(0);
    for section in runbook.lines().filter_map(|line| line.strip_prefix("### ")) {
        assert!(rules.iter().any(|(name, _)| name == section), "{section}");
    }
}
