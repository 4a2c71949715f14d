//! What differs between two versions of a template.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::extract::State;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;
use similar::{ChangeTag, TextDiff};
use tasker_shared::templates::TemplateSummary;
use tokio::task::spawn_blocking;

use super::{address, find, shortened, table, versions};
use crate::extract::{Params, PathParts};
use crate::problem::Problem;
use crate::state::WebState;
use crate::ui::frame::{Live, Page, Section};
use crate::ui::parts::{dash, foreign};

/// Most changes, and most lines, that a page shows.
const MOST_CHANGES: usize = 500;
const MOST_LINES: usize = 2_000;

/// How long the shortest way from one document to the other is looked for.
const LINES_TIMEOUT: Duration = Duration::from_millis(300);

/// Lines that are shown around a change.
const AROUND: usize = 3;

/// Which versions to compare: where they are left out, the two highest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CompareParams {
    from: Option<String>,
    to: Option<String>,
}

/// The values of a document by step and place in it; what is in no step has an empty one.
type Values<'a> = BTreeMap<(&'a str, String), &'a Value>;

pub(crate) async fn compare(
    State(state): State<WebState>,
    PathParts((namespace, name)): PathParts<(String, String)>,
    Params(params): Params<CompareParams>,
) -> Result<Page<'static>, Problem> {
    let newest = find(&state, &namespace, &name, None).await?.summary;
    let versions = versions(&state, &newest).await?;
    let before = versions.get(1).unwrap_or(&newest).version.clone();
    let from = params.from.unwrap_or(before);
    let from = find(&state, &namespace, &name, Some(&from)).await?;
    let to = params.to.as_ref().unwrap_or(&newest.version);
    let to = find(&state, &namespace, &name, Some(to)).await?;
    let choices = html! {
        (choice("from", "From", &versions, &from.summary.version))
        (choice("to", "To", &versions, &to.summary.version))
    };
    // Two large documents take longer than a thread of the runtime should be held.
    let differences = spawn_blocking(move || differences(&from.body, &to.body));
    let differences = differences.await.map_err(Problem::internal)?;
    Ok(Page {
        title: "Compare versions",
        section: Section::Templates,
        live: Live::No,
        content: html! {
            h1 { "Compare versions of " a href=(address(&newest)) { (namespace) "/" wbr; (name) } }
            form.filters method="get" { (choices) button { "Compare" } }
            (differences)
        },
    })
}

fn choice(name: &str, label: &str, versions: &[TemplateSummary], chosen: &str) -> Markup {
    html! {
        label { (label) select name=(name) {
            // An old version may not be among those that are listed.
            @if versions.iter().all(|one| one.version != chosen) { option selected { (chosen) } }
            @for one in versions { option selected[one.version == chosen] { (one.version) } }
        } }
    }
}

fn differences(from: &Value, to: &Value) -> Markup {
    let (old, new) = (values(from), values(to));
    let places: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let differing = places
        .into_iter()
        .filter(|place| old.get(*place) != new.get(*place));
    let changes = differing.filter_map(|place| {
        let what: &str = match (has_step(&old, place.0), has_step(&new, place.0)) {
            (true, false) => "step removed",
            (false, true) => "step added",
            _ => &place.1,
        };
        // Of a step that the other does not have, one line says it.
        (what == place.1 || place.1 == "handler").then_some((place, what))
    });
    let changes: Vec<_> = changes.collect();
    let value = |value: Option<&&Value>| match value {
        Some(value) => html! { code { (foreign(&shown(value))) } },
        None => dash(),
    };
    let rows = html! { @for (place, what) in changes.iter().copied().take(MOST_CHANGES) {
        tr {
            td { @if place.0.is_empty() { (dash()) } @else { (place.0) } }
            td { (foreign(&shortened(what))) }
            td.text { (value(old.get(place))) }
            td.text { (value(new.get(place))) }
        }
    } };
    html! {
        @if changes.is_empty() { p.note { "Nothing but the version differs." } } @else {
            h2 { "What changed" }
            (table("What changed", &["Step", "What", "From", "To"], &rows))
            @if changes.len() > MOST_CHANGES { p.note { "The first " (MOST_CHANGES) " of " (changes.len()) " changes." } }
            h2 { "Line by line" }
            p.note { "The documents with all defaults filled in." }
            (lines(from, to))
        }
    }
}

fn has_step<'a>(values: &Values<'a>, step: &'a str) -> bool {
    values.contains_key(&(step, "handler".to_owned()))
}

fn values(body: &Value) -> Values<'_> {
    let mut values = Values::new();
    for (key, value) in body.as_object().into_iter().flatten() {
        if !matches!(key.as_str(), "namespace" | "name" | "version" | "steps") {
            add_values("", key.clone(), value, &mut values);
        }
    }
    for step in body["steps"].as_array().into_iter().flatten() {
        let name = step["name"].as_str().unwrap_or_default();
        for (key, value) in step.as_object().into_iter().flatten() {
            add_values(name, key.clone(), value, &mut values);
        }
    }
    values
}

fn add_values<'a>(step: &'a str, place: String, value: &'a Value, into: &mut Values<'a>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (key, value) in members {
                add_values(step, format!("{place}.{key}"), value, into);
            }
        }
        value => drop(into.insert((step, place), value)),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => shortened(text),
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_string) => {
            let items: Vec<_> = items.iter().filter_map(Value::as_str).collect();
            shortened(&items.join(", "))
        }
        value => shortened(&value.to_string()),
    }
}

fn lines(from: &Value, to: &Value) -> Markup {
    let text = |value| serde_json::to_string_pretty(value).unwrap_or_default();
    let (from, to) = (text(from), text(to));
    let diff = TextDiff::configure()
        .timeout(LINES_TIMEOUT)
        .diff_lines(&from, &to);
    let groups = diff.grouped_ops(AROUND);
    // Each group begins with a sign that lines are left out.
    let mut lines = groups.iter().flat_map(|group| {
        let changes = group.iter().flat_map(|part| diff.iter_changes(part));
        [None].into_iter().chain(changes.map(Some))
    });
    html! {
        pre.diff tabindex="0" role="region" aria-label="Line by line" {
            @for line in lines.by_ref().take(MOST_LINES) {
                @if let Some(line) = line {
                    @let text = shortened(line.value().trim_end_matches('\n'));
                    @match line.tag() {
                        ChangeTag::Insert => ins { "+ " (text) "\n" },
                        ChangeTag::Delete => del { "− " (text) "\n" },
                        ChangeTag::Equal => { "  " (text) "\n" }
                    }
                } @else { span.note { "  ⋯\n" } }
            }
        }
        @if lines.next().is_some() { p.note { "The first " (MOST_LINES) " lines." } }
    }
}
