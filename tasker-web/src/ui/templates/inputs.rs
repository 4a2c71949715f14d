//! The inputs of a form's fields.

use maud::{Markup, html};
use serde_json::Value;

use super::fields::{Field, Kind};
use super::form::{Mistakes, Typed};
use crate::ui::parts::foreign;

/// Most lines that a text field shows at once.
const MOST_ROWS: usize = 20;

/// An input with its label, and what was typed.
pub(super) struct Input<'a> {
    pub(super) name: &'a str,
    pub(super) label: Markup,
    pub(super) hint: Markup,
    pub(super) control: Control<'a>,
}

/// What is typed into.
pub(super) enum Control<'a> {
    Line,
    /// So many lines at least.
    Lines(usize),
    Choice(&'a [Value]),
}

/// The inputs of the fields with what was typed and what is wrong with it.
pub(super) fn inputs(fields: &[Field], typed: &Typed, mistakes: &Mistakes) -> Markup {
    html! { @for field in fields { (field_input(field, typed, mistakes)) } }
}

fn field_input(field: &Field, typed: &Typed, mistakes: &Mistakes) -> Markup {
    let text = typed.get(&field.input).map_or("", String::as_str);
    let control = match &field.kind {
        Kind::Group(fields) => {
            return html! {
                fieldset #(field.input) {
                    legend { (label(field)) }
                    div.note { (hint(field)) }
                    (mistake(&field.input, mistakes))
                    (inputs(fields, typed, mistakes))
                }
            };
        }
        Kind::Constant(value) => {
            return html! { div.field { b { (label(field)) } ": " code { (value) } div.note { (hint(field)) } } };
        }
        Kind::Choice(values) => Control::Choice(values),
        Kind::List(_) => Control::Lines(3),
        Kind::Json => Control::Lines(4),
        Kind::Scalar(_) if field.is_long || text.contains('\n') => Control::Lines(3),
        Kind::Scalar(_) => Control::Line,
    };
    let input = Input {
        name: &field.input,
        label: label(field),
        hint: hint(field),
        control,
    };
    draw(&input, typed, mistakes)
}

/// An input, its label, what to know, and what is wrong.
pub(super) fn draw(input: &Input<'_>, typed: &Typed, mistakes: &Mistakes) -> Markup {
    let name = input.name;
    let text = typed.get(name).map_or("", String::as_str);
    let is_wrong = mistakes.contains_key(name).then_some("true");
    let about = format!("{name}-hint {name}-mistake");
    html! {
        div.field {
            label for=(name) { (input.label) }
            div.note #{ (name) "-hint" } { (input.hint) }
            (mistake(name, mistakes))
            @match input.control {
                Control::Line => {
                    input #(name) name=(name) value=(text) autocomplete="off" dir="auto"
                        aria-describedby=(about) aria-invalid=[is_wrong];
                }
                // A browser leaves out the first line break.
                Control::Lines(rows) => textarea #(name) name=(name) rows=(text.lines().count().clamp(rows, MOST_ROWS))
                    dir="auto" spellcheck="false" aria-describedby=(about) aria-invalid=[is_wrong] { "\n" (text) },
                Control::Choice(values) => select #(name) name=(name) aria-describedby=(about) aria-invalid=[is_wrong] {
                    option value="" { "–" }
                    @for value in values {
                        @let json = value.to_string();
                        option value=(json) selected[json == text] { (value.as_str().unwrap_or(&json)) }
                    }
                },
            }
        }
    }
}

fn mistake(name: &str, mistakes: &Mistakes) -> Markup {
    html! { div.mistake #{ (name) "-mistake" } { @if let Some(mistake) = mistakes.get(name) { "✕ " (foreign(mistake)) } } }
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
        Kind::List(_) => "One a line. A line in double quotes is read as a JSON string.",
        Kind::Json => "As JSON.",
        Kind::Scalar(types) if types.len() > 1 && types.contains(&"string") => {
            "A text that reads as a number, true, false or null needs double quotes."
        }
        Kind::Scalar(types) if types.contains(&"number") => "A number.",
        Kind::Scalar(types) if types.contains(&"integer") => "A whole number.",
        _ => "",
    };
    html! {
        @if let Some(text) = &field.description { (foreign(text)) " " }
        (form)
        @if let Some(value) = &field.default { " Where it is left empty: " code { (foreign(&value.to_string())) } "." }
        @if !field.examples.is_empty() {
            " For example " @for value in &field.examples { code { (foreign(&value.to_string())) } " " }
        }
    }
}
