//! What differs between two versions of a template.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::State;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;
use similar::{ChangeTag, TextDiff};
use tasker_shared::templates::TemplateSummary;
use tokio::task::spawn_blocking;

use super::{address, find, version_address, versions};
use crate::extract::{Params, PathParts};
use crate::problem::Problem;
use crate::state::WebState;
use crate::ui::frame::{Live, Page, Section};
use crate::ui::parts::{dash, foreign};

/// Most changes, and most lines, that a page shows.
const MOST_CHANGES: usize = 500;
const MOST_LINES: usize = 2_000;

/// Characters of a line, or of a value, that a page shows.
const MOST_CHARS: usize = 300;

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

/// Something that two versions have differently: where, and what each has there.
#[derive(Debug, PartialEq)]
struct Change {
    step: Option<String>,
    what: String,
    from: Option<String>,
    to: Option<String>,
}

/// A line of the documents.
struct Line {
    tag: ChangeTag,
    text: String,
}

pub(crate) async fn compare(
    State(state): State<WebState>,
    PathParts((namespace, name)): PathParts<(String, String)>,
    Params(params): Params<CompareParams>,
) -> Result<Page<'static>, Problem> {
    let newest = find(&state, &namespace, &name, None).await?.summary;
    let versions = versions(&state, &newest).await?;
    let before = versions.get(1).unwrap_or(&newest);
    let (from, to) = (
        params.from.as_deref().unwrap_or(&before.version),
        params.to.as_deref().unwrap_or(&newest.version),
    );
    let from = find(&state, &namespace, &name, Some(from)).await?;
    let to = find(&state, &namespace, &name, Some(to)).await?;
    let (one, other) = (from.summary, to.summary);
    // Two large documents take longer than a thread of the runtime should be held.
    let (changes, lines) =
        spawn_blocking(move || (changes(&from.body, &to.body), lines(&from.body, &to.body)))
            .await
            .map_err(Problem::internal)?;
    Ok(Page {
        title: "Compare versions",
        section: Section::Templates,
        live: Live::No,
        content: html! {
            h1 { "Compare versions of " a href=(address(&newest)) { (namespace) "/" wbr; (name) } }
            form.filters method="get" {
                (choice("from", "From", &versions, &one))
                (choice("to", "To", &versions, &other))
                button { "Compare" }
            }
            p { "From " a href=(version_address(&one)) { (one.version) } " to " a href=(version_address(&other)) { (other.version) } "." }
            @if changes.is_empty() { p.note { "Nothing but the version differs." } } @else {
                h2 { "What changed" }
                (change_table(&changes))
                h2 { "Line by line" }
                p.note { "The documents with all defaults filled in." }
                (line_list(&lines))
            }
        },
    })
}

fn choice(
    name: &str,
    label: &str,
    versions: &[TemplateSummary],
    chosen: &TemplateSummary,
) -> Markup {
    html! {
        label { (label) select name=(name) {
            // An old version may not be among those that are listed.
            @if versions.iter().all(|one| one.version != chosen.version) { option selected { (chosen.version) } }
            @for one in versions { option selected[one.version == chosen.version] { (one.version) } }
        } }
    }
}

fn change_table(changes: &[Change]) -> Markup {
    let value = |value: &Option<String>| html! { @match value { Some(text) => code { (foreign(text)) }, None => (dash()) } };
    html! {
        div.scroll tabindex="0" role="region" aria-label="What changed" {
            table {
                thead { tr {
                    th scope="col" { "Step" } th scope="col" { "What" } th scope="col" { "From" } th scope="col" { "To" }
                } }
                tbody { @for change in changes.iter().take(MOST_CHANGES) {
                    tr {
                        td { @match &change.step { Some(step) => (step), None => (dash()) } }
                        td { (foreign(&change.what)) }
                        td.text { (value(&change.from)) }
                        td.text { (value(&change.to)) }
                    }
                } }
            }
        }
        @if changes.len() > MOST_CHANGES { p.note { "The first " (MOST_CHANGES) " of " (changes.len()) " changes." } }
    }
}

fn line_list(lines: &[Line]) -> Markup {
    html! {
        pre.diff tabindex="0" role="region" aria-label="Line by line" {
            @for line in lines.iter().take(MOST_LINES) {
                @match line.tag {
                    ChangeTag::Insert => ins { "+ " (line.text) "\n" },
                    ChangeTag::Delete => del { "− " (line.text) "\n" },
                    ChangeTag::Equal => span { "  " (line.text) "\n" },
                }
            }
        }
        @if lines.len() > MOST_LINES { p.note { "The first " (MOST_LINES) " lines." } }
    }
}

/// What differs, by step; first what is not in a step.
fn changes(from: &Value, to: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    let general = |body: &Value| {
        let mut body = body.as_object().cloned().unwrap_or_default();
        body.retain(|key, _| !matches!(key.as_str(), "namespace" | "name" | "version" | "steps"));
        Value::Object(body)
    };
    add_changes(None, &general(from), &general(to), &mut changes);
    let (old, new) = (steps(from), steps(to));
    let whole = |step: Option<&&Value>| step.map(|step| shown(&step["handler"]));
    let mut names: Vec<_> = old.keys().collect();
    names.extend(new.keys().filter(|name| !old.contains_key(*name)));
    for name in names {
        match (old.get(name), new.get(name)) {
            (Some(old), Some(new)) => add_changes(Some(name), old, new, &mut changes),
            (old, new) => changes.push(Change {
                step: Some((*name).to_owned()),
                what: if new.is_some() {
                    "step added"
                } else {
                    "step removed"
                }
                .to_owned(),
                from: whole(old),
                to: whole(new),
            }),
        }
    }
    changes
}

fn steps(body: &Value) -> BTreeMap<&str, &Value> {
    let steps = body["steps"].as_array().map_or(&[][..], Vec::as_slice);
    let named = steps
        .iter()
        .filter_map(|step| Some((step["name"].as_str()?, step)));
    named.collect()
}

fn add_changes(step: Option<&str>, from: &Value, to: &Value, changes: &mut Vec<Change>) {
    let (mut old, mut new) = (BTreeMap::new(), BTreeMap::new());
    flatten(String::new(), from, &mut old);
    flatten(String::new(), to, &mut new);
    let mut places: Vec<_> = old
        .keys()
        .chain(new.keys().filter(|place| !old.contains_key(*place)))
        .collect();
    places.sort();
    for place in places {
        let (from, to) = (old.get(place), new.get(place));
        if from != to {
            changes.push(Change {
                step: step.map(str::to_owned),
                what: place.clone(),
                from: from.map(|value| shown(value)),
                to: to.map(|value| shown(value)),
            });
        }
    }
}

/// The values of a document by their places; a list is one value.
fn flatten<'a>(place: String, value: &'a Value, into: &mut BTreeMap<String, &'a Value>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (key, value) in members {
                let dot = if place.is_empty() { "" } else { "." };
                flatten(format!("{place}{dot}{key}"), value, into);
            }
        }
        value => drop(into.insert(place, value)),
    }
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            let items: Vec<_> = items.iter().filter_map(Value::as_str).collect();
            items.join(", ")
        }
        value => value.to_string(),
    };
    shortened(&text)
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MOST_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn lines(from: &Value, to: &Value) -> Vec<Line> {
    let text = |value| serde_json::to_string_pretty(value).unwrap_or_default();
    let (from, to) = (text(from), text(to));
    let diff = TextDiff::configure()
        .timeout(LINES_TIMEOUT)
        .diff_lines(&from, &to);
    let mut lines = Vec::new();
    for hunk in diff.unified_diff().context_radius(AROUND).iter_hunks() {
        if !lines.is_empty() {
            lines.push(Line {
                tag: ChangeTag::Equal,
                text: "…".to_owned(),
            });
        }
        lines.extend(hunk.iter_changes().map(|change| Line {
            tag: change.tag(),
            text: shortened(change.value().trim_end_matches('\n')),
        }));
        if lines.len() > MOST_LINES {
            break;
        }
    }
    lines
}
