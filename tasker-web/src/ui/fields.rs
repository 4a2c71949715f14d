//! Forms: the fields that are typed into, what is read from them, and what is wrong with it.

use std::collections::HashMap;

use crate::ui::prelude::*;
use serde_json::{Map, Number, Value};

/// Lines that a large field shows at once.
const ROWS: [usize; 2] = [3, 20];

/// What stands in the inputs of a form, by their names.
pub(crate) type Typed = HashMap<String, String>;

/// What is wrong with what was typed, by the names of the inputs.
pub(crate) type Mistakes = HashMap<String, String>;

/// Something to be typed: a property of an object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    /// The name of its input.
    pub(crate) input: String,
    /// The name of the property.
    pub(crate) property: String,
    /// What it is called, where that is something else.
    pub(crate) title: Option<String>,
    /// What to type.
    pub(crate) hint: String,
    pub(crate) is_required: bool,
    /// What it is where it is left empty; otherwise it is left out.
    pub(crate) empty: Option<Value>,
    pub(crate) kind: Kind,
}

/// How a property is typed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// One value.
    One(Scalar),
    /// A text of many lines.
    Long,
    /// Values, one a line.
    List(Scalar),
    /// One of these values.
    Choice(Vec<Value>),
    /// Nothing to type: it has this value.
    Constant(Value),
    /// An object with fields of its own.
    Group(Vec<Field>),
    /// Anything, as JSON.
    Json,
}

/// A value that is typed on a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scalar {
    Text,
    Integer,
    Number,
}

impl Field {
    /// A field that may be left empty.
    pub(crate) fn plain(input: &str, property: &str, hint: &str, kind: Kind) -> Self {
        Self {
            input: input.to_owned(),
            property: property.to_owned(),
            title: None,
            hint: hint.to_owned(),
            is_required: false,
            empty: None,
            kind,
        }
    }
}

/// What the inputs amount to.
pub(crate) fn read(fields: &[Field], typed: &Typed, mistakes: &mut Mistakes) -> Map<String, Value> {
    let mut values = Map::new();
    for field in fields {
        match read_field(field, typed, mistakes) {
            Ok(Some(value)) => drop(values.insert(field.property.clone(), value)),
            Ok(None) => {}
            Err(mistake) => drop(mistakes.insert(field.input.clone(), mistake)),
        }
    }
    values
}

fn read_field(
    field: &Field,
    typed: &Typed,
    mistakes: &mut Mistakes,
) -> Result<Option<Value>, String> {
    // Browsers send line breaks as two characters.
    let text = typed
        .get(&field.input)
        .map(|text| text.replace("\r\n", "\n"));
    let text = text.unwrap_or_default();
    let value = match &field.kind {
        Kind::Constant(value) => value.clone(),
        Kind::Group(fields) if field.is_required || is_filled(fields, typed) => {
            Value::Object(read(fields, typed, mistakes))
        }
        Kind::Group(_) => return Ok(None),
        _ if text.trim().is_empty() => {
            let is_missing = field.is_required && field.empty.is_none();
            return if is_missing {
                Err("is missing".to_owned())
            } else {
                Ok(field.empty.clone())
            };
        }
        Kind::One(scalar) => read_scalar(*scalar, &text)?,
        Kind::Long => Value::String(text),
        Kind::Choice(values) => {
            let chosen = values.iter().find(|value| value.to_string() == text);
            chosen.ok_or("is none of the choices")?.clone()
        }
        Kind::List(scalar) => {
            let lines = text
                .lines()
                .zip(1..)
                .filter(|(line, _)| !line.trim().is_empty());
            let items = lines.map(|(line, number)| {
                read_scalar(*scalar, line).map_err(|mistake| format!("line {number}: {mistake}"))
            });
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Kind::Json => {
            serde_json::from_str(&text).map_err(|error| format!("this is not JSON: {error}"))?
        }
    };
    Ok(Some(value))
}

fn is_filled(fields: &[Field], typed: &Typed) -> bool {
    fields.iter().any(|field| match &field.kind {
        Kind::Group(fields) => is_filled(fields, typed),
        _ => typed
            .get(&field.input)
            .is_some_and(|text| !text.trim().is_empty()),
    })
}

fn read_scalar(scalar: Scalar, text: &str) -> Result<Value, String> {
    let number = serde_json::from_str::<Number>(text).ok();
    let is_whole = number.as_ref().is_some_and(|number| !number.is_f64());
    let (fits, expected) = match scalar {
        Scalar::Text => return Ok(text.into()),
        Scalar::Integer => (is_whole, "expected a whole number of up to 18 digits"),
        // A whole number with more digits than are kept would become another one.
        Scalar::Number => (
            is_whole || text.contains(['.', 'e', 'E']),
            "expected a number such as 12.5",
        ),
    };
    let number = number.filter(|_| fits).map(Value::Number);
    number.ok_or_else(|| expected.to_owned())
}

/// The inputs of the fields with what was typed and what is wrong with it.
pub(crate) fn inputs(fields: &[Field], typed: &Typed, mistakes: &Mistakes) -> Markup {
    html! {
        @for field in fields {
            @let about = html! {
                div.note #{ (field.input) "-hint" } { (foreign(&field.hint)) }
                div.mistake #{ (field.input) "-mistake" } {
                    @if let Some(mistake) = mistakes.get(&field.input) { "✕ " (foreign(mistake)) }
                }
            };
            @match &field.kind {
                Kind::Group(fields) => fieldset { legend { (label(field)) } (about) (inputs(fields, typed, mistakes)) },
                Kind::Constant(value) => div.field { b { (label(field)) } ": " code { (foreign(&value.to_string())) } (about) },
                _ => div.field {
                    label for=(field.input) { (label(field)) }
                    (about)
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
    let rows = text.lines().count().clamp(ROWS[0], ROWS[1]);
    html! {
        @match &field.kind {
            Kind::Choice(values) => select #(name) name=(name) aria-describedby=(about) aria-invalid=[is_wrong] {
                option value="" { "–" }
                @for value in values {
                    @let json = value.to_string();
                    option value=(json) selected[json == text] { (value.as_str().unwrap_or(&json)) }
                }
            },
            Kind::One(_) => input #(name) name=(name) value=(text) dir="auto" autocomplete="off" aria-describedby=(about) aria-invalid=[is_wrong];,
            // A browser leaves out the first line break.
            _ => textarea #(name) name=(name) rows=(rows) dir="auto" spellcheck="false" aria-describedby=(about) aria-invalid=[is_wrong] { "\n" (text) },
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
