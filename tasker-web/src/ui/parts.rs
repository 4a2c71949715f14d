//! Pieces that several pages show: states, times, durations, JSON, links.

use chrono::{DateTime, SecondsFormat, Utc};
use maud::{Markup, html};
use serde_json::Value;
use tasker_shared::bulk::BulkState;
use tasker_shared::ids::TaskUuid;
use tasker_shared::state::{StepState, TaskState};
use tasker_shared::words;

/// Characters of a JSON document that a page shows.
const MOST_JSON: usize = 20_000;

/// How a state is shown: its name, behind a sign that also those can tell who see no colours.
pub(crate) fn task_state(state: TaskState) -> Markup {
    let sign = match state {
        TaskState::Pending => "○",
        TaskState::InProgress => "◔",
        TaskState::Complete => "✓",
        TaskState::Error => "✕",
        TaskState::Cancelled => "⊘",
        TaskState::ResolvedManually => "✎",
    };
    badge(state.as_str(), sign)
}

/// How a step's state is shown.
pub(crate) fn step_state(state: StepState) -> Markup {
    badge(state.as_str(), step_sign(state))
}

/// One character for a step's state.
pub(crate) const fn step_sign(state: StepState) -> &'static str {
    match state {
        StepState::Pending => "○",
        StepState::Enqueued => "◌",
        StepState::InProgress => "◔",
        StepState::WaitingForRetry => "↻",
        StepState::Complete => "✓",
        StepState::Error => "✕",
        StepState::Cancelled => "⊘",
        StepState::Skipped => "»",
        StepState::ResolvedManually => "✎",
    }
}

/// How far an act on many tasks has come.
pub(crate) fn act_state(state: BulkState) -> Markup {
    match state {
        BulkState::Running => badge("running", "◔"),
        BulkState::Finished => badge("finished", "✓"),
        BulkState::Stopped => badge("stopped", "⊘"),
    }
}

fn badge(state: &str, sign: &str) -> Markup {
    html! {
        span class=(format!("state {state}")) { span.sign aria-hidden="true" { (sign) } (in_words(state)) }
    }
}

/// A name of the database's as words: `waiting for retry`.
pub(crate) fn in_words(name: &str) -> String {
    name.replace('_', " ")
}

/// A moment. Without a script it is in UTC; with one in the viewer's zone, the exact one at hand.
pub(crate) fn moment(at: DateTime<Utc>) -> Markup {
    let exact = at.to_rfc3339_opts(SecondsFormat::Millis, true);
    html! {
        time datetime=(exact) title=(exact) { (at.format("%Y-%m-%d %H:%M:%S UTC")) }
    }
}

/// A moment, or a dash where there is none yet.
pub(crate) fn moment_or_dash(at: Option<DateTime<Utc>>) -> Markup {
    at.map_or_else(dash, moment)
}

/// The time from one moment to another.
pub(crate) fn between(from: DateTime<Utc>, to: DateTime<Utc>) -> String {
    words::duration(words::between(from, to))
}

/// What stands where there is nothing to show.
pub(crate) fn dash() -> Markup {
    html! { span.none { "–" } }
}

/// A number with spaces between thousands.
pub(crate) fn number(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    if number < 0 {
        text.push('−');
    }
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// The address of a task's page.
pub(crate) fn task_address(task_uuid: TaskUuid) -> String {
    format!("/ui/tasks/{task_uuid}")
}

/// A task, as a link to its page that shows the end of its UUID.
pub(crate) fn task_link(task_uuid: TaskUuid) -> Markup {
    html! {
        a.uuid href=(task_address(task_uuid)) title=(task_uuid) { (task_uuid.short()) }
    }
}

/// A JSON document, its first part where it is long; `whole` is the address of all of it.
pub(crate) fn json(value: &Value, whole: &str) -> Markup {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    let end = text.char_indices().nth(MOST_JSON).map(|(end, _)| end);
    html! {
        pre.json tabindex="0" { (text[..end.unwrap_or(text.len())]) }
        @if end.is_some() {
            p.note { "The first part of " (words::bytes(i64::try_from(text.len()).unwrap_or(i64::MAX))) ". " a href=(whole) { "All of it" } }
        }
    }
}

/// A text from elsewhere, its first part where it is long. It keeps to its own direction of writing.
pub(crate) fn foreign(text: &str) -> Markup {
    let end = text.char_indices().nth(MOST_JSON).map(|(end, _)| end);
    html! {
        bdi { (text[..end.unwrap_or(text.len())]) @if end.is_some() { "…" } }
    }
}

/// What a page shows where there is nothing to list: why, and what to do first.
pub(crate) fn empty(what: &str, advice: &Markup) -> Markup {
    html! {
        div.empty { p { (what) } (advice) }
    }
}

/// A text for the query of an address.
pub(crate) fn in_query(text: &str) -> String {
    serde_html_form::to_string([("", text)])
        .map_or_else(|_| String::new(), |pair| pair[1..].to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_read_in_groups_of_three() {
        for (value, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1\u{202f}000"),
            (-1_234_567, "−1\u{202f}234\u{202f}567"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn what_comes_from_elsewhere_is_text() {
        let shown = json(&json!({"a": "<script>"}), "/").into_string();
        assert!(
            shown.contains("&lt;script&gt;") && !shown.contains("<script"),
            "{shown}"
        );
    }

    #[test]
    fn a_long_document_is_shown_in_part() {
        let shown = json(&json!("é".repeat(1_000_000)), "/all").into_string();
        assert!(shown.len() < 100_000 && shown.contains("href=\"/all\""));
    }

    #[test]
    fn a_text_can_stand_in_an_address() {
        assert_eq!(in_query("a b&c=ü"), "a+b%26c%3D%C3%BC");
    }
}
