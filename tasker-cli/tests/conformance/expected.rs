//! Whether what is there is what a workflow has to come to.

use serde_json::Value;

/// The first place where `actual` is not what `expected` says; `None` where it is.
///
/// An object has to be part of what is there, `{"$contains": "…"}` of a text, all else is equal.
pub(crate) fn difference(expected: &Value, actual: &Value, place: &str) -> Option<String> {
    if let Some(part) = expected.get("$contains").and_then(Value::as_str) {
        let contains = actual.as_str().is_some_and(|text| text.contains(part));
        return (!contains).then(|| format!("{place} is {actual}, without {part:?}"));
    }
    match (expected, actual) {
        (Value::Object(members), Value::Object(there)) => {
            members.iter().find_map(|(name, member)| {
                let place = format!("{place}.{name}");
                match there.get(name) {
                    Some(there) => difference(member, there, &place),
                    None => Some(format!("{place} is missing")),
                }
            })
        }
        _ => (expected != actual).then(|| format!("{place} is {actual} and not {expected}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_is_compared_by_what_is_expected_of_it_and_the_place_is_named() {
        let actual = json!({ "a": { "b": 1, "c": [1, 2] }, "d": "some text" });

        for expected in [
            json!({}),
            json!({ "a": { "c": [1, 2] } }),
            json!({ "d": { "$contains": "me te" } }),
        ] {
            assert_eq!(difference(&expected, &actual, "it"), None);
        }
        for (expected, place) in [
            (json!({ "a": { "b": 2 } }), "it.a.b is 1 and not 2"),
            (json!({ "a": { "c": [1] } }), "it.a.c is [1,2] and not [1]"),
            (json!({ "e": null }), "it.e is missing"),
            (
                json!({ "d": { "$contains": "other" } }),
                "it.d is \"some text\"",
            ),
        ] {
            let found = difference(&expected, &actual, "it").unwrap();
            assert!(found.starts_with(place), "{found}");
        }
    }
}
