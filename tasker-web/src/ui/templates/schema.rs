//! The fields that an input schema describes.
//!
//! A form is a help only: the database checks each context against the whole schema. What does not fit into
//! a field is typed as JSON.

use serde_json::{Value, json};

use crate::ui::fields::{Field, Kind, Scalar};

/// Objects inside each other that have fields of their own; deeper ones are typed as JSON.
const MOST_DEPTH: usize = 4;

/// Fields of a form; an object with more than are left is typed as JSON.
const MOST_FIELDS: usize = 200;

/// Values that a field offers to choose from.
const MOST_CHOICES: usize = 200;

/// References that are followed from one schema to the next.
const MOST_REFERENCES: usize = 8;

/// Characters from which a text needs more than a line.
const LONG: u64 = 200;

/// The fields for what this schema describes; none where only JSON fits.
pub(super) fn fields(schema: &Value) -> Vec<Field> {
    let mut describing = Describing {
        root: schema,
        left: MOST_FIELDS,
    };
    describing
        .group(schema, "f", MOST_DEPTH)
        .unwrap_or_default()
}

/// Whether a context may have more than what this schema describes.
pub(super) fn allows_more(schema: &Value) -> bool {
    let describing = Describing {
        root: schema,
        left: 0,
    };
    let schema = describing.resolve(schema);
    schema["additionalProperties"] != Value::Bool(false)
        || schema.get("patternProperties").is_some()
}

/// The field that a refusal of the database is about, and what it says there. The refusal begins with the
/// place of what is wrong.
pub(super) fn place<'f, 'r>(fields: &'f [Field], refusal: &'r str) -> Option<(&'f Field, &'r str)> {
    fields.iter().find_map(|field| {
        let left = refusal.strip_prefix(&segment(&field.property))?;
        let inner = match &field.kind {
            Kind::Group(fields) => place(fields, left),
            _ => None,
        };
        let says = left.strip_prefix(": ").or(left.strip_prefix('.'));
        let says = says.or(left.starts_with('[').then_some(left));
        inner.or(Some((field, says?)))
    })
}

struct Describing<'a> {
    root: &'a Value,
    left: usize,
}

impl<'a> Describing<'a> {
    /// The names of the inputs have positions only, so that no property's name can do harm.
    fn group(&mut self, schema: &'a Value, input: &str, depth: usize) -> Option<Vec<Field>> {
        let schema = self.resolve(schema);
        let properties = schema["properties"].as_object()?;
        if depth == 0 || properties.is_empty() || properties.len() > self.left {
            return None;
        }
        self.left -= properties.len();
        let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
        let position = |name: &str| required.iter().position(|one| one == name);
        // The database does not keep the order of properties, but that of the required ones.
        let mut properties: Vec<_> = properties.iter().collect();
        properties.sort_by_key(|(name, _)| position(name).unwrap_or(usize::MAX));
        let fields = properties
            .into_iter()
            .zip(0..)
            .map(|((name, schema), number)| {
                let target = self.resolve(schema);
                let about = |keyword| schema.get(keyword).or_else(|| target.get(keyword));
                let input = format!("{input}.{number}");
                let is_required = position(name).is_some();
                let kind = self.kind(target, is_required, &input, depth);
                Field {
                    property: name.clone(),
                    title: about("title").and_then(Value::as_str).map(str::to_owned),
                    hint: hint(&kind, about),
                    is_required,
                    empty: empty(&kind, target).filter(|_| is_required),
                    kind,
                    input,
                }
            });
        Some(fields.collect())
    }

    fn kind(&mut self, schema: &'a Value, is_required: bool, input: &str, depth: usize) -> Kind {
        if let Some(mut choices) = choices(schema) {
            return match choices.as_mut_slice() {
                [only] if is_required => Kind::Constant(only.take()),
                _ => Kind::Choice(choices),
            };
        }
        match type_of(schema) {
            Some("string") if schema["maxLength"].as_u64() > Some(LONG) => Kind::Long,
            Some("array") if schema.get("prefixItems").is_none() => {
                scalar(self.resolve(&schema["items"])).map_or(Kind::Json, Kind::List)
            }
            Some("object") => {
                let fields = self.group(schema, input, depth - 1);
                fields.map_or(Kind::Json, Kind::Group)
            }
            _ => scalar(schema).map_or(Kind::Json, Kind::One),
        }
    }

    /// The schema that this one refers to, or itself.
    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let mut schema = schema;
        for _ in 0..MOST_REFERENCES {
            let Some(target) = schema["$ref"].as_str() else {
                break;
            };
            schema = match target.strip_prefix("#/$defs/") {
                Some(name) => &self.root["$defs"][name.replace("~1", "/").replace("~0", "~")],
                None => self.root,
            };
        }
        schema
    }
}

/// The values that a schema allows, where these are few.
fn choices(schema: &Value) -> Option<Vec<Value>> {
    let mut choices = match (
        schema.get("const"),
        schema["enum"].as_array(),
        type_of(schema),
    ) {
        (Some(only), ..) => return Some(vec![only.clone()]),
        (_, Some(values), _) => {
            return Some(values.clone()).filter(|all| all.len() <= MOST_CHOICES);
        }
        (.., Some("boolean")) => vec![json!(true), json!(false)],
        _ => return None,
    };
    choices.extend(is_nullable(schema).then_some(Value::Null));
    Some(choices)
}

/// The one type beside null that a schema allows.
fn type_of(schema: &Value) -> Option<&str> {
    let Some(types) = schema["type"].as_array() else {
        return schema["type"].as_str();
    };
    let mut types = types.iter().filter(|name| *name != "null");
    types.next().filter(|_| types.next().is_none())?.as_str()
}

fn is_nullable(schema: &Value) -> bool {
    schema["type"]
        .as_array()
        .is_some_and(|types| types.contains(&json!("null")))
}

fn scalar(schema: &Value) -> Option<Scalar> {
    match type_of(schema)? {
        "string" => Some(Scalar::Text),
        "integer" => Some(Scalar::Integer),
        "number" => Some(Scalar::Number),
        _ => None,
    }
}

/// What a required property is that is left empty, where that is plain.
fn empty(kind: &Kind, schema: &Value) -> Option<Value> {
    match kind {
        Kind::List(_) => Some(json!([])),
        Kind::Choice(_) => None,
        _ => is_nullable(schema).then_some(Value::Null),
    }
}

/// What a property is for, and how it is typed.
fn hint<'a>(kind: &Kind, about: impl Fn(&'static str) -> Option<&'a Value>) -> String {
    let shown = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let description = about("description")
        .and_then(Value::as_str)
        .map(str::to_owned);
    let form = match kind {
        Kind::List(_) => Some("One a line"),
        Kind::Json => Some("As JSON"),
        Kind::One(Scalar::Integer) => Some("A whole number"),
        Kind::One(Scalar::Number) => Some("A number"),
        _ => None,
    };
    let default = about("default").map(|value| format!("Where it is left empty: {}", shown(value)));
    let examples = about("examples")
        .and_then(Value::as_array)
        .filter(|all| !all.is_empty());
    let examples = examples.map(|all| {
        let some: Vec<_> = all.iter().take(3).map(shown).collect();
        format!("For example: {}", some.join(", "))
    });
    let parts = [description, form.map(str::to_owned), default, examples];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// A part of a place, as `tasker.json_path_segment` writes it.
fn segment(name: &str) -> String {
    let is_plain = |(at, char): (usize, char)| {
        char.is_ascii_alphabetic()
            || "_$".contains(char)
            || at > 0 && (char.is_ascii_digit() || char == '-')
    };
    if !name.is_empty() && name.char_indices().all(is_plain) {
        return format!(".{name}");
    }
    let name: String = name.chars().take(60).collect();
    format!("[{}]", Value::String(name))
}

#[cfg(test)]
mod tests;
