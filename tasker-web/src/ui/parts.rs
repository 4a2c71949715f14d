//! Pieces that several pages show: tables, facts, states, times, JSON, links.

use std::fmt::Write;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use maud::{Markup, html};
use serde_json::Value;
use tasker_shared::ids::TaskUuid;
use tasker_shared::words;

use super::frame::{TASKS, TEMPLATES};

/// Characters of a text from elsewhere that a page shows.
const MOST_CHARACTERS: usize = 20_000;

/// A table of rows, each with its id, which may be empty, and a cell for each head. A head that begins
/// with `# ` is of a column of numbers.
pub(crate) fn table<const N: usize>(
    label: &str,
    heads: [&str; N],
    rows: impl IntoIterator<Item = (String, [Markup; N])>,
) -> Markup {
    let heads = heads.map(|head| match head.strip_prefix("# ") {
        Some(head) => (head, true),
        None => (head, false),
    });
    html! {
        div.scroll tabindex="0" role="region" aria-label=(label) {
            table {
                thead { tr { @for (head, is_number) in heads { th.number[is_number] scope="col" { (head) } } } }
                tbody {
                    @for (id, cells) in rows {
                        tr data-row id=[Some(id).filter(|id| !id.is_empty())] {
                            @for ((head, is_number), cell) in heads.iter().zip(cells) {
                                td.number[*is_number] data-label=(head) { (or_dash(cell)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What is known of something, each with its name; what is empty is left out.
pub(crate) fn facts<const N: usize>(facts: [(&str, Markup); N]) -> Markup {
    html! {
        dl.facts {
            @for (name, value) in facts {
                @if !value.0.is_empty() { div { dt { (name) } dd { (value) } } }
            }
        }
    }
}

fn or_dash(cell: Markup) -> Markup {
    if cell.0.is_empty() {
        return html! { span.none { "–" } };
    }
    cell
}

/// What a page shows where there is nothing to list: why, and what to do first.
pub(crate) fn empty(what: &str, advice: &Markup) -> Markup {
    html! {
        div.empty { p { (what) } (advice) }
    }
}

/// How the state of a task, a step or an act is shown: its name, behind a sign that also those can tell
/// who see no colours.
pub(crate) fn state(name: &str) -> Markup {
    badge(name, &in_words(name))
}

/// Words with the sign and the colours of a state.
pub(crate) fn badge(state: &str, words: &str) -> Markup {
    html! {
        span class=(format!("state {state}")) { span aria-hidden="true" { (sign(state)) } (words) }
    }
}

/// One character for a state.
pub(crate) fn sign(state: &str) -> &'static str {
    match state {
        "enqueued" => "◌",
        "in_progress" | "running" => "◔",
        "waiting_for_retry" => "↻",
        "complete" | "finished" => "✓",
        "error" => "✕",
        "cancelled" | "stopped" => "⊘",
        "skipped" => "»",
        "resolved_manually" => "✎",
        _ => "○",
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

/// A moment, or nothing where there is none yet.
pub(crate) fn moment_if_any(at: Option<DateTime<Utc>>) -> Markup {
    at.map(moment).unwrap_or_default()
}

/// The time from one moment to another.
pub(crate) fn between(from: DateTime<Utc>, to: DateTime<Utc>) -> String {
    words::duration(words::between(from, to))
}

/// A time in seconds, as people read it.
pub(crate) fn seconds(seconds: f64) -> String {
    words::duration(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

/// A time in milliseconds, as people read it.
pub(crate) fn milliseconds(milliseconds: u64) -> String {
    words::duration(Duration::from_millis(milliseconds))
}

/// A number with spaces between thousands.
pub(crate) fn number(number: impl TryInto<i64>) -> String {
    let number = number.try_into().unwrap_or(i64::MAX);
    let digits = number.unsigned_abs().to_string();
    let mut text = if number < 0 { "−" } else { "" }.to_owned();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A number, or that it is at least as many as were counted.
pub(crate) fn counted(counted: i64, most: i64) -> String {
    let more = if counted >= most { "+" } else { "" };
    number(counted) + more
}

/// The first of these names, and whether there are others.
pub(crate) fn some(names: &[String], most: usize) -> String {
    let others = if names.len() > most {
        " and others"
    } else {
        ""
    };
    names[..names.len().min(most)].join(", ") + others
}

/// A text of so many characters at most.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A text from elsewhere, its first part where it is long. It keeps to its own direction of writing.
pub(crate) fn foreign(text: &str) -> Markup {
    html! { bdi { (shortened(text, MOST_CHARACTERS)) } }
}

/// The same, or nothing where there is none.
pub(crate) fn foreign_if_any(text: Option<&String>) -> Markup {
    text.map(|text| foreign(text)).unwrap_or_default()
}

/// A JSON document, its first part where it is long; `whole` is the address of all of it.
pub(crate) fn json(value: &Value, whole: &str) -> Markup {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    let shown = shortened(&text, MOST_CHARACTERS);
    html! {
        pre.json tabindex="0" { (shown) }
        @if shown.len() < text.len() { p.note { "The first part of it. " a href=(whole) { "All of it" } } }
    }
}

/// A path with a query of these parameters; those that are empty are left out.
pub(crate) fn address(path: &str, params: &[(&str, &str)]) -> String {
    let params: Vec<_> = params.iter().filter(|(_, text)| !text.is_empty()).collect();
    let query = serde_html_form::to_string(params).unwrap_or_default();
    if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{query}")
    }
}

/// The address of a task's page.
pub(crate) fn task_address(task_uuid: TaskUuid) -> String {
    format!("{TASKS}/{task_uuid}")
}

/// The address of a step's page.
pub(crate) fn step_address(task_uuid: TaskUuid, step_name: &str) -> String {
    format!("{TASKS}/{task_uuid}/steps/{}", in_path(step_name))
}

/// The address of a template's page.
pub(crate) fn template_address(namespace: &str, name: &str) -> String {
    format!("{TEMPLATES}/{namespace}/{name}")
}

/// A task, as a link to its page that shows the end of its UUID.
pub(crate) fn task_link(task_uuid: TaskUuid) -> Markup {
    html! {
        a.uuid href=(task_address(task_uuid)) title=(task_uuid) { (task_uuid.short()) }
    }
}

/// A step, as a link to its page.
pub(crate) fn step_link(task_uuid: TaskUuid, name: &str) -> Markup {
    html! { a href=(step_address(task_uuid, name)) { (foreign(name)) } }
}

/// A text as one segment of a path.
pub(crate) fn in_path(text: &str) -> String {
    let mut path = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"_-~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(path, "%{byte:02X}");
        }
    }
    path
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
        assert_eq!(
            address("/x", &[("a", "a b&c=ü"), ("b", "")]),
            "/x?a=a+b%26c%3D%C3%BC"
        );
        assert_eq!(address("/x", &[("a", "")]), "/x");
        assert_eq!(in_path("a/b c"), "a%2Fb%20c");
    }

    #[test]
    fn a_cell_says_what_its_column_is_and_that_it_is_empty() {
        let row = ("row-1".to_owned(), [html! { "x" }, Markup::default()]);
        let shown = table("Things", ["Name", "# Size"], [row]).into_string();
        for part in [
            "id=\"row-1\"",
            "data-label=\"Name\">x<",
            "class=\"number\" data-label=\"Size\"><span",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }
}
