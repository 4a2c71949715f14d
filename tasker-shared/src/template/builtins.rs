//! The built-in handlers as templates see them: their names, and what each takes as `input`.
//!
//! The handlers themselves are in the worker, where a test compares them with this list. Names that
//! begin with `builtin.` are theirs alone, so that a typing error in one is found before a step
//! waits for a handler that no worker will ever have.

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Url};

use super::error::{Mistakes, Path};
use super::fields::{Fields, boolean, integer, nearest, text, wrong_type};
use super::node::{Content, Node};

/// How the names of built-in handlers begin.
pub(super) const PREFIX: &str = "builtin.";

/// A built-in handler.
#[derive(Debug, Clone, Copy)]
pub(super) struct Builtin {
    pub(super) name: &'static str,
    input: Input,
}

/// What a built-in handler takes as `input`.
#[derive(Debug, Clone, Copy)]
enum Input {
    /// Whatever it is given.
    Anything,
    /// These keys and no others.
    Keys(&'static [Key]),
}

/// A key of the `input` of a built-in handler.
#[derive(Debug, Clone, Copy)]
struct Key {
    name: &'static str,
    required: bool,
    shape: Shape,
    about: &'static str,
}

/// What the value of a key is.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Anything,
    Text,
    Bool,
    /// A whole number up to this one.
    Whole(u64),
    Url,
    Method,
    /// Texts by the names of headers.
    Headers,
}

/// Every built-in handler.
pub(super) const BUILTINS: [Builtin; 5] = [
    Builtin {
        name: "builtin.noop",
        input: Input::Anything,
    },
    Builtin {
        name: "builtin.echo",
        input: Input::Anything,
    },
    Builtin {
        name: "builtin.sleep",
        input: Input::Keys(&[Key {
            name: "ms",
            required: true,
            shape: Shape::Whole(u64::MAX),
            about: "How long to wait, in milliseconds.",
        }]),
    },
    Builtin {
        name: "builtin.fail",
        input: Input::Keys(&[
            Key {
                name: "times",
                required: false,
                shape: Shape::Whole(u32::MAX as u64),
                about: "How many attempts fail; all of them where it is missing.",
            },
            Key {
                name: "retryable",
                required: false,
                shape: Shape::Bool,
                about: "Whether a failed attempt is retried.",
            },
            Key {
                name: "message",
                required: false,
                shape: Shape::Text,
                about: "What the error says.",
            },
        ]),
    },
    Builtin {
        name: "builtin.http",
        input: Input::Keys(&[
            Key {
                name: "method",
                required: false,
                shape: Shape::Method,
                about: "The method of the request; GET where it is missing.",
            },
            Key {
                name: "url",
                required: true,
                shape: Shape::Url,
                about: "Where the request goes: http:// or https://.",
            },
            Key {
                name: "headers",
                required: false,
                shape: Shape::Headers,
                about: "Headers of the request, by name.",
            },
            Key {
                name: "body",
                required: false,
                shape: Shape::Anything,
                about: "The body: text is sent as it is, anything else as JSON.",
            },
        ]),
    },
];

/// Adds what is wrong with a step whose handler is a built-in one, or claims to be.
pub(super) fn check(
    handler: &Node,
    input: Option<&Node>,
    step: &Path<'_>,
    mistakes: &mut Mistakes,
) {
    let Some(name) = handler.as_text() else {
        return;
    };
    let Some(word) = name.strip_prefix(PREFIX) else {
        return;
    };
    let Some(builtin) = BUILTINS.iter().find(|builtin| builtin.name == name) else {
        let message = format!("there is no built-in handler `{name}`");
        mistakes.add_with_hint(handler.place, &step.key("handler"), message, || {
            let words = BUILTINS.iter().map(|builtin| &builtin.name[PREFIX.len()..]);
            let near = nearest(word, words);
            let names = BUILTINS.map(|builtin| builtin.name).join(", ");
            Some(near.map_or_else(
                || format!("built-in handlers: {names}"),
                |near| format!("did you mean `{PREFIX}{near}`?"),
            ))
        });
        return;
    };
    if let Input::Keys(keys) = builtin.input {
        check_keys(handler, input, keys, &step.key("input"), mistakes);
    }
}

fn check_keys(
    handler: &Node,
    input: Option<&Node>,
    keys: &[Key],
    path: &Path<'_>,
    mistakes: &mut Mistakes,
) {
    // What is no mapping has been refused by the reader of steps.
    if input.is_some_and(|node| !matches!(node.content, Content::Mapping(_))) {
        return;
    }
    let names: Vec<&str> = keys.iter().map(|key| key.name).collect();
    let fields = input.and_then(|node| Fields::of(node, path, &names, mistakes));
    for key in keys {
        match fields.as_ref().and_then(|fields| fields.get(key.name)) {
            Some(node) => check_value(node, key.shape, &path.key(key.name), mistakes),
            None if key.required => {
                let place = input.unwrap_or(handler).place;
                mistakes.add_with_hint(place, path, format!("`{}` is missing", key.name), || {
                    Some(format!("{}: {}", key.name, key.about))
                });
            }
            None => {}
        }
    }
}

fn check_value(node: &Node, shape: Shape, path: &Path<'_>, mistakes: &mut Mistakes) {
    match shape {
        Shape::Anything => {}
        Shape::Text => drop(text(node, path, mistakes)),
        Shape::Bool => drop(boolean(node, path, mistakes)),
        Shape::Whole(most) => drop(integer(node, path, 0..=most, mistakes)),
        Shape::Url => {
            if let Some(Err(problem)) = text(node, path, mistakes).map(check_url) {
                mistakes.add_with_hint(node.place, path, problem, || {
                    Some("as in https://example.com/path".to_owned())
                });
            }
        }
        Shape::Method => {
            let method = text(node, path, mistakes);
            if method.is_some_and(|method| Method::from_bytes(method.as_bytes()).is_err()) {
                mistakes.add_with_hint(node.place, path, "not a method of HTTP", || {
                    Some("as in GET or POST".to_owned())
                });
            }
        }
        Shape::Headers => check_headers(node, path, mistakes),
    }
}

fn check_url(text: &str) -> Result<(), String> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(()),
        Ok(url) => Err(format!("builtin.http cannot send to {}:", url.scheme())),
        // The text stays out of the message: it may hold a token.
        Err(error) => Err(format!("not a URL: {error}")),
    }
}

fn check_headers(node: &Node, path: &Path<'_>, mistakes: &mut Mistakes) {
    let Content::Mapping(entries) = &node.content else {
        return wrong_type(node, path, "a mapping of headers", mistakes);
    };
    for (key, value) in entries {
        let path = &path.key(&key.text);
        if HeaderName::from_bytes(key.text.as_bytes()).is_err() {
            mistakes.add(key.place, path, "not the name of a header");
        }
        let value = text(value, path, mistakes).map(|text| (value, text));
        if let Some((value, text)) = value
            && HeaderValue::from_str(text).is_err()
        {
            mistakes.add(value.place, path, "not a value that a header can have");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::template::Template;

    #[test]
    fn the_schema_for_editors_says_the_same_of_every_handler_and_key() {
        let schema = Template::json_schema();
        let conditions = schema
            .pointer("/$defs/step/allOf")
            .and_then(Value::as_array);
        let (known, conditions) = conditions.unwrap().split_first().unwrap();
        let names = BUILTINS.map(|builtin| builtin.name);
        assert_eq!(known["then"]["properties"]["handler"]["enum"], json!(names));
        let handlers: Vec<(&str, &[Key])> = BUILTINS
            .iter()
            .filter_map(|builtin| match builtin.input {
                Input::Anything => None,
                Input::Keys(keys) => Some((builtin.name, keys)),
            })
            .collect();
        assert_eq!(conditions.len(), handlers.len());
        for ((name, keys), condition) in handlers.into_iter().zip(conditions) {
            assert_eq!(condition["if"]["properties"]["handler"]["const"], name);
            let required: Vec<&str> = keys
                .iter()
                .filter(|key| key.required)
                .map(|key| key.name)
                .collect();
            let then = &condition["then"];
            let input = &then["properties"]["input"];
            assert_eq!(input["required"], json!(required), "{name}");
            assert_eq!(then["required"].is_array(), !required.is_empty(), "{name}");
            let properties = input["properties"].as_object().unwrap();
            assert_eq!(properties.len(), keys.len(), "{name}");
            for key in keys {
                let property = &properties[key.name];
                assert_eq!(property["description"], key.about);
                let (kind, most) = match key.shape {
                    Shape::Anything => (Value::Null, Value::Null),
                    Shape::Text | Shape::Method | Shape::Url => (json!("string"), Value::Null),
                    Shape::Bool => (json!("boolean"), Value::Null),
                    Shape::Whole(most) => (json!("integer"), json!(most)),
                    Shape::Headers => (json!("object"), Value::Null),
                };
                assert_eq!(
                    [&property["type"], &property["maximum"]],
                    [&kind, &most],
                    "{}",
                    key.name
                );
            }
        }
    }
}
