//! What differs between two versions of a template, line by line.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use similar::{ChangeTag, TextDiff};
use tasker_shared::templates::TemplateSummary;
use tokio::task::spawn_blocking;

use super::{MOST_CHARACTERS, find, versions};
use crate::ui::prelude::*;

/// Most lines that a page shows.
const MOST_LINES: usize = 2_000;

/// How long the shortest way from one document to the other is looked for.
const TIMEOUT: Duration = Duration::from_millis(300);

/// Lines that are shown around a change.
const AROUND: usize = 3;

/// Which versions to compare: where they are left out, the two highest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CompareParams {
    from: Option<String>,
    to: Option<String>,
}

pub(crate) async fn compare(
    State(state): State<WebState>,
    PathParts((namespace, name)): PathParts<(String, String)>,
    Params(params): Params<CompareParams>,
) -> Result<Page, Problem> {
    let newest = find(&state, &namespace, &name, None).await?.summary;
    let versions = versions(&state, &newest).await?;
    let before = versions.get(1).unwrap_or(&newest).version.clone();
    let from = find(
        &state,
        &namespace,
        &name,
        Some(&params.from.unwrap_or(before)),
    )
    .await?;
    let to = find(&state, &namespace, &name, params.to.as_deref()).await?;
    let choices = html! {
        (choice("from", "From", &versions, &from.summary.version))
        (choice("to", "To", &versions, &to.summary.version))
    };
    // Two large documents take longer than a thread of the runtime should be held.
    let differences = spawn_blocking(move || differences(&from.body, &to.body));
    let differences = differences.await.map_err(Problem::internal)?;
    let address = template_address(&namespace, &name);
    let content = html! {
        h1 { "Compare versions of " a href=(address) { (namespace) "/" wbr; (name) } }
        form.filters { (choices) button { "Compare" } }
        (differences)
    };
    Ok(Page::still(TEMPLATES, "Compare versions", content))
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
    let text = |value| serde_json::to_string_pretty(value).unwrap_or_default();
    let (from, to) = (text(from), text(to));
    let diff = TextDiff::configure()
        .timeout(TIMEOUT)
        .diff_lines(&from, &to);
    let groups = diff.grouped_ops(AROUND);
    // Each group begins with a sign that lines are left out.
    let mut lines = groups.iter().flat_map(|group| {
        let changes = group.iter().flat_map(|part| diff.iter_changes(part));
        [None].into_iter().chain(changes.map(Some))
    });
    html! {
        p.note { "The documents with all defaults filled in." }
        @if groups.is_empty() { p { "Nothing differs." } }
        pre.diff tabindex="0" role="region" aria-label="Line by line" {
            @for line in lines.by_ref().take(MOST_LINES) {
                @if let Some(line) = line {
                    @let text = shortened(line.value().trim_end_matches('\n'), MOST_CHARACTERS);
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
