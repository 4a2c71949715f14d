//! What is typed into the fields of a form, as a context, and a context as what would be typed.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::fields::{Field, Kind, type_of};

/// What stands in the inputs of a form, by their names.
pub(crate) type Typed = HashMap<String, String>;

/// What is wrong with what was typed, by the names of the inputs.
pub(crate) type Mistakes = HashMap<String, String>;

/// The field that a refusal of the database is about, and what it says there.
pub(crate) fn place<'f, 'r>(fields: &'f [Field], refusal: &'r str) -> Option<(&'f Field, &'r str)> {
    fields.iter().find_map(|field| {
        // A refusal begins without the first dot.
        let left = refusal.strip_prefix(field.place.trim_start_matches('.'))?;
        if !left.starts_with([':', '.', '[']) {
            return None;
        }
        let inner = match &field.kind {
            Kind::Group(fields) => place(fields, refusal),
            _ => None,
        };
        let inside = left.strip_prefix(": ").or(left.strip_prefix('.'));
        inner.or(Some((field, inside.unwrap_or(left))))
    })
}

/// What the inputs amount to. What is left empty is left out.
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
    let text = typed.get(&field.input).map_or("", String::as_str);
    let is_empty = text.trim().is_empty();
    let value = match &field.kind {
        Kind::Constant(value) => value.clone(),
        Kind::Group(fields) if field.is_required || is_filled(fields, typed) => {
            Value::Object(read(fields, typed, mistakes))
        }
        Kind::List(_) if is_empty && field.is_required => json!([]),
        Kind::Scalar(allowed) if is_empty && field.is_required && allowed.contains(&"null") => {
            Value::Null
        }
        Kind::Group(_) => return Ok(None),
        _ if is_empty && field.is_required => return Err("is missing".to_owned()),
        _ if is_empty => return Ok(None),
        Kind::Scalar(allowed) => read_scalar(allowed, text, allowed.len() > 1)?,
        Kind::Choice(values) => {
            let written = |value: &&Value| value.to_string();
            let chosen = values.iter().find(|value| written(value) == text);
            chosen.ok_or("is none of the choices")?.clone()
        }
        Kind::List(allowed) => {
            let lines = text.lines().enumerate();
            let lines = lines.filter(|(_, line)| !line.trim().is_empty());
            let items = lines.map(|(number, line)| {
                read_scalar(allowed, line, true)
                    .map_err(|mistake| format!("line {}: {mistake}", number + 1))
            });
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Kind::Json => {
            serde_json::from_str(text).map_err(|error| format!("this is not JSON: {error}"))?
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

/// Where `unquotes`, a text may be typed as JSON has it, to tell `"12"` from 12.
fn read_scalar(allowed: &[&str], text: &str, unquotes: bool) -> Result<Value, String> {
    let has = |name| allowed.contains(&name);
    let parsed = serde_json::from_str(text).ok().filter(|value| match value {
        Value::String(_) => has("string") && unquotes,
        // A number with more digits than are kept is none.
        Value::Number(number) if number.is_f64() && !text.contains(['.', 'e', 'E']) => false,
        Value::Number(number) => {
            let is_whole = number.as_f64().is_some_and(|number| number.fract() == 0.0);
            has("number") || has("integer") && is_whole
        }
        value => has(type_of(value)),
    });
    match parsed {
        Some(value) => Ok(value),
        None if has("string") => Ok(Value::String(text.to_owned())),
        None if has("number") => Err("expected a number such as 12.5".to_owned()),
        None if has("integer") => Err("expected a whole number of up to 18 digits".to_owned()),
        None => Err(format!("expected {}", allowed.join(" or "))),
    }
}

/// What to type for this context; nothing where the fields cannot hold all of it.
pub(crate) fn typed(fields: &[Field], context: &Map<String, Value>) -> Option<Typed> {
    let mut typed = Typed::new();
    write(fields, context, &mut typed);
    (read(fields, &typed, &mut Mistakes::new()) == *context).then_some(typed)
}

fn write(fields: &[Field], context: &Map<String, Value>, typed: &mut Typed) {
    for field in fields {
        let Some(value) = context.get(&field.property) else {
            continue;
        };
        let text = match (&field.kind, value) {
            (Kind::Group(fields), Value::Object(inner)) => {
                write(fields, inner, typed);
                continue;
            }
            (Kind::Scalar(allowed), value) => write_scalar(allowed, value, allowed.len() > 1),
            (Kind::List(allowed), Value::Array(items)) => {
                let lines = items.iter().map(|item| write_scalar(allowed, item, true));
                lines.collect::<Vec<_>>().join("\n")
            }
            (Kind::Json, value) => serde_json::to_string_pretty(value).unwrap_or_default(),
            (_, value) => value.to_string(),
        };
        typed.insert(field.input.clone(), text);
    }
}

/// What to type for a value; see [`read_scalar`].
pub(super) fn write_scalar(allowed: &[&str], value: &Value, unquotes: bool) -> String {
    let plain = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    let is_line = !plain.trim().is_empty() && !plain.chars().any(char::is_control);
    let is_plain = is_line && read_scalar(allowed, &plain, unquotes).as_ref() == Ok(value);
    if is_plain || !unquotes {
        plain
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests;
