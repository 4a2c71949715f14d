//! The inputs of a form's fields.

use maud::{Markup, html};
use serde_json::Value;

use super::fields::{Field, Kind};
use super::form::{Mistakes, Typed, write_scalar};
use crate::ui::parts::foreign;

/// Lines that a text field shows at once.
const ROWS: [usize; 2] = [3, 20];

/// The inputs of the fields with what was typed and what is wrong with it.
pub(super) fn inputs(fields: &[Field], typed: &Typed, mistakes: &Mistakes) -> Markup {
    let mistake = |name: &str| {
        html! {
            div.mistake #{ (name) "-mistake" } { @if let Some(mistake) = mistakes.get(name) { "✕ " (foreign(mistake)) } }
        }
    };
    html! {
        @for field in fields {
            @match &field.kind {
                Kind::Group(fields) => fieldset {
                    legend { (label(field)) }
                    div.note { (hint(field)) }
                    (mistake(&field.input))
                    (inputs(fields, typed, mistakes))
                },
                Kind::Constant(value) => div.field { b { (label(field)) } ": " code { (foreign(&value.to_string())) } div.note { (hint(field)) } },
                _ => div.field {
                    label for=(field.input) { (label(field)) }
                    div.note #{ (field.input) "-hint" } { (hint(field)) }
                    (mistake(&field.input))
                    (input(field, typed.get(&field.input).map_or("", String::as_str), mistakes.contains_key(&field.input)))
                },
            }
        }
    }
}

fn input(field: &Field, text: &str, is_wrong: bool) -> Markup {
    let name = &field.input;
    let about = format!("{name}-hint {name}-mistake");
    let is_wrong = is_wrong.then_some("true");
    let has_lines =
        field.is_long || text.contains('\n') || matches!(field.kind, Kind::List(_) | Kind::Json);
    let rows = text.lines().count().clamp(ROWS[0], ROWS[1]);
    html! {
        @if let Kind::Choice(values) = &field.kind {
            select #(name) name=(name) aria-describedby=(about) aria-invalid=[is_wrong] {
                option value="" { "–" }
                @for value in values {
                    @let json = value.to_string();
                    option value=(json) selected[json == text] { (value.as_str().unwrap_or(&json)) }
                }
            }
        } @else if has_lines {
            // A browser leaves out the first line break.
            textarea #(name) name=(name) rows=(rows) dir="auto" spellcheck="false" aria-describedby=(about) aria-invalid=[is_wrong] { "\n" (text) }
        } @else {
            input #(name) name=(name) value=(text) dir="auto" autocomplete="off" aria-describedby=(about) aria-invalid=[is_wrong];
        }
    }
}

fn label(field: &Field) -> Markup {
    html! {
        @match &field.title {
            Some(title) => { (foreign(title)) " " code.note { (foreign(&field.property)) } }
            None => (foreign(&field.property)),
        }
        @if field.is_required { span.note { " (required)" } }
    }
}

fn hint(field: &Field) -> Markup {
    let form = match &field.kind {
        Kind::List(_) => "One a line; a line in double quotes is read as a JSON string.",
        Kind::Json => "As JSON.",
        Kind::Scalar(types) if types.len() > 1 && types.contains(&"string") => {
            "A text that reads as a number, true, false or null needs double quotes."
        }
        Kind::Scalar(types) if types.contains(&"number") => "A number.",
        Kind::Scalar(types) if types.contains(&"integer") => "A whole number.",
        _ => "",
    };
    // As it would be typed.
    let shown = |value: &Value| match &field.kind {
        Kind::Scalar(types) => write_scalar(types, value, types.len() > 1),
        _ => value.to_string(),
    };
    html! {
        @if let Some(text) = &field.description { div { (foreign(text)) } }
        (form)
        @if let Some(value) = &field.default { " Where it is left empty: " code { (foreign(&shown(value))) } "." }
        @if !field.examples.is_empty() { " For example: " }
        @for value in &field.examples { code { (foreign(&shown(value))) } " " }
    }
}
