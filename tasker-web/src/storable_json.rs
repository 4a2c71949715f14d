//! Finds the one character of JSON that PostgreSQL cannot store.

use serde_json::Value;

use crate::problem::Problem;

/// Refuses a value that holds `\u0000`, and names the place. `path` is where the value itself is.
pub(crate) fn refuse_unstorable(path: &str, value: &Value) -> Result<(), Problem> {
    match find(path, value) {
        Some(path) => Err(holds_nul(&path)),
        None => Ok(()),
    }
}

/// Refuses a text that holds `\u0000`.
pub(crate) fn refuse_unstorable_text(path: &str, text: Option<&str>) -> Result<(), Problem> {
    if text.is_some_and(holds) {
        return Err(holds_nul(path));
    }
    Ok(())
}

fn holds_nul(path: &str) -> Problem {
    let message = "a string holds the character \\u0000, which PostgreSQL cannot store";
    Problem::mistake(path, message)
        .hint("leave the character out, or encode the string, in base64 for example")
}

/// The path of the first string that holds the character; depth is bounded by the JSON reader.
fn find(path: &str, value: &Value) -> Option<String> {
    match value {
        Value::String(text) => holds(text).then(|| path.to_owned()),
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(index, item)| {
                may_hold(item)
                    .then(|| find(&format!("{path}[{index}]"), item))
                    .flatten()
            })
        }
        Value::Object(members) => members.iter().find_map(|(name, member)| {
            if holds(name) {
                return Some(path.to_owned());
            }
            may_hold(member)
                .then(|| find(&format!("{path}.{name}"), member))
                .flatten()
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// Spares most values the making of their path.
fn may_hold(value: &Value) -> bool {
    match value {
        Value::String(text) => holds(text),
        Value::Array(_) | Value::Object(_) => true,
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn holds(text: &str) -> bool {
    text.as_bytes().contains(&0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_place_of_the_character_is_named() {
        let value = json!({"lines": [{"note": "fine"}, {"note": "a\0b"}]});
        assert_eq!(
            find("context", &value).as_deref(),
            Some("context.lines[1].note")
        );
        assert_eq!(
            find("context", &json!({"a\0": 1})).as_deref(),
            Some("context")
        );
    }

    #[test]
    fn a_value_without_it_passes() {
        let value = json!({"text": "\u{1}\\u0000", "list": [null, true, 1.5, {}]});
        assert_eq!(find("context", &value), None);
    }
}
