//! Checks that every keyword of an input schema is one that tasks are really checked against.
//!
//! The schema is applied by `tasker.json_schema_error` in the database, because tasks are also
//! submitted by plain SQL. `tasker.json_schema_refusal` there makes the same checks as this module
//! and has the last word (it can also compile patterns); this one knows lines and columns.

use super::error::{Mistakes, Path};
use super::fields::{did_you_mean, wrong_type};
use super::node::{Content, Node, Place};

/// The deepest nesting of schemas, and the deepest chain of references while one is applied.
const MAX_DEPTH: usize = 64;

/// The names that `type` accepts.
const TYPES: [&str; 7] = [
    "null", "boolean", "object", "array", "number", "integer", "string",
];

/// What the value of a keyword has to be.
#[derive(Clone, Copy)]
enum Shape {
    Any,
    Text,
    Pattern,
    Bool,
    List,
    TextList,
    TextListMap,
    Number,
    PositiveNumber,
    Count,
    Type,
    Schema,
    SchemaList,
    SchemaMap,
    /// By patterns of names.
    PatternMap,
    Reference,
    /// Only at the root, where references find it.
    RootSchemaMap,
    RootText,
}

/// Every keyword that is honoured, or that only annotates.
const KEYWORDS: [(&str, Shape); 46] = [
    ("$schema", Shape::RootText),
    ("$id", Shape::RootText),
    ("$comment", Shape::Text),
    ("$defs", Shape::RootSchemaMap),
    ("$ref", Shape::Reference),
    ("title", Shape::Text),
    ("description", Shape::Text),
    ("default", Shape::Any),
    ("examples", Shape::List),
    ("deprecated", Shape::Bool),
    ("readOnly", Shape::Bool),
    ("writeOnly", Shape::Bool),
    ("type", Shape::Type),
    ("enum", Shape::List),
    ("const", Shape::Any),
    ("properties", Shape::SchemaMap),
    ("required", Shape::TextList),
    ("additionalProperties", Shape::Schema),
    ("patternProperties", Shape::PatternMap),
    ("propertyNames", Shape::Schema),
    ("minProperties", Shape::Count),
    ("maxProperties", Shape::Count),
    ("dependentRequired", Shape::TextListMap),
    ("prefixItems", Shape::SchemaList),
    ("items", Shape::Schema),
    ("contains", Shape::Schema),
    ("minContains", Shape::Count),
    ("maxContains", Shape::Count),
    ("minItems", Shape::Count),
    ("maxItems", Shape::Count),
    ("uniqueItems", Shape::Bool),
    ("minimum", Shape::Number),
    ("maximum", Shape::Number),
    ("exclusiveMinimum", Shape::Number),
    ("exclusiveMaximum", Shape::Number),
    ("multipleOf", Shape::PositiveNumber),
    ("minLength", Shape::Count),
    ("maxLength", Shape::Count),
    ("pattern", Shape::Pattern),
    ("allOf", Shape::SchemaList),
    ("anyOf", Shape::SchemaList),
    ("oneOf", Shape::SchemaList),
    ("not", Shape::Schema),
    ("if", Shape::Schema),
    ("then", Shape::Schema),
    ("else", Shape::Schema),
];

/// Adds every keyword in `schema` that is unknown, malformed or refers to nothing.
pub(super) fn check(schema: &Node, path: &Path<'_>, mistakes: &mut Mistakes) {
    Check {
        root: schema,
        mistakes,
    }
    .schema(schema, path, 0);
}

struct Check<'a> {
    root: &'a Node,
    mistakes: &'a mut Mistakes,
}

impl Check<'_> {
    fn schema(&mut self, node: &Node, path: &Path<'_>, depth: usize) {
        let entries = match &node.content {
            Content::Mapping(entries) => entries,
            Content::Bool(_) => return,
            _ => return wrong_type(node, path, "a schema", self.mistakes),
        };
        if depth > MAX_DEPTH {
            let message = format!("schemas nested deeper than {MAX_DEPTH}");
            return self.mistakes.add(node.place, path, message);
        }
        for (key, value) in entries {
            let name = key.text.as_str();
            match KEYWORDS.iter().find(|(keyword, _)| *keyword == name) {
                Some(&(_, shape)) => self.keyword(shape, value, &path.key(name), depth),
                None => self.mistakes.add_with_hint(
                    key.place,
                    path,
                    format!("the keyword `{name}` is not honoured"),
                    || hint(name),
                ),
            }
        }
    }

    fn keyword(&mut self, shape: Shape, node: &Node, path: &Path<'_>, depth: usize) {
        match (shape, &node.content) {
            (Shape::RootText | Shape::RootSchemaMap, _) if depth > 0 => {
                self.mistakes
                    .add(node.place, path, "only allowed at the root of the schema");
            }
            (Shape::Any, _)
            | (Shape::Text | Shape::RootText, Content::Text(_))
            | (Shape::Bool, Content::Bool(_))
            | (Shape::List, Content::List(_)) => {}
            (Shape::Schema, _) => self.schema(node, path, depth + 1),
            (Shape::SchemaList, Content::List(items)) if !items.is_empty() => {
                for (index, item) in items.iter().enumerate() {
                    self.schema(item, &path.index(index), depth + 1);
                }
            }
            (Shape::Pattern, Content::Text(pattern)) => self.pattern(pattern, node.place, path),
            (Shape::PatternMap, Content::Mapping(entries)) => {
                for (key, value) in entries {
                    self.pattern(&key.text, key.place, &path.key(&key.text));
                    self.schema(value, &path.key(&key.text), depth + 1);
                }
            }
            (Shape::SchemaMap | Shape::RootSchemaMap, Content::Mapping(entries)) => {
                for (key, value) in entries {
                    self.schema(value, &path.key(&key.text), depth + 1);
                }
            }
            (Shape::TextList, Content::List(items)) => self.texts(items, path),
            (Shape::TextListMap, Content::Mapping(entries)) => {
                for (key, value) in entries {
                    self.keyword(Shape::TextList, value, &path.key(&key.text), depth);
                }
            }
            (Shape::Type, Content::List(names)) if !names.is_empty() => {
                for (index, name) in names.iter().enumerate() {
                    self.type_name(name, &path.index(index));
                }
            }
            (Shape::Type, _) => self.type_name(node, path),
            (Shape::Reference, Content::Text(target)) => self.reference(target, node, path),
            (Shape::Number | Shape::PositiveNumber | Shape::Count, Content::Number(number)) => {
                let value = number.as_f64().unwrap_or(f64::NAN);
                let fits = match shape {
                    Shape::PositiveNumber => value > 0.0,
                    Shape::Count => value >= 0.0 && value.fract() == 0.0,
                    _ => true,
                };
                if !fits {
                    self.expected(shape, node, path);
                }
            }
            _ => self.expected(shape, node, path),
        }
    }

    fn pattern(&mut self, pattern: &str, place: Place, path: &Path<'_>) {
        if may_refer_back(pattern) {
            let message = r"a backreference like `\1` can take exponential time";
            self.mistakes.add_with_hint(place, path, message, || {
                Some("write out what it repeats, or check it in a handler".to_owned())
            });
        }
    }

    fn texts(&mut self, items: &[Node], path: &Path<'_>) {
        for (index, item) in items.iter().enumerate() {
            if item.as_text().is_none() {
                self.expected(Shape::Text, item, &path.index(index));
            }
        }
    }

    fn type_name(&mut self, node: &Node, path: &Path<'_>) {
        let Some(name) = node.as_text() else {
            return self.expected(Shape::Type, node, path);
        };
        if !TYPES.contains(&name) {
            self.mistakes
                .add_with_hint(node.place, path, format!("unknown type `{name}`"), || {
                    Some(format!("known types: {}", TYPES.join(", ")))
                });
        }
    }

    fn reference(&mut self, target: &str, node: &Node, path: &Path<'_>) {
        let name = target.strip_prefix("#/$defs/");
        if target == "#" || name.is_some_and(|name| self.defines(name)) {
            return;
        }
        let message = match name {
            Some(name) if !name.contains(['/', '%']) => format!("there is no `$defs.{name}`"),
            _ => format!("the reference `{target}` is not honoured"),
        };
        self.mistakes.add_with_hint(node.place, path, message, || {
            Some("references are `#` and `#/$defs/name`".to_owned())
        });
    }

    /// Whether the root's `$defs` has what `name`, a segment of a JSON pointer, stands for.
    fn defines(&self, name: &str) -> bool {
        let definitions = match &self.root.content {
            Content::Mapping(entries) => entries.iter().find(|(key, _)| key.text == "$defs"),
            _ => None,
        };
        let Some((
            _,
            Node {
                content: Content::Mapping(definitions),
                ..
            },
        )) = definitions
        else {
            return false;
        };
        let unescaped = name.replace("~1", "/").replace("~0", "~");
        !name.contains(['/', '%']) && definitions.iter().any(|(key, _)| key.text == unescaped)
    }

    fn expected(&mut self, shape: Shape, node: &Node, path: &Path<'_>) {
        let expected = match shape {
            Shape::Text | Shape::Pattern | Shape::RootText | Shape::Any => "text",
            Shape::Reference => "a reference as text",
            Shape::Bool => "true or false",
            Shape::List => "a list",
            Shape::TextList => "a list of texts",
            Shape::TextListMap => "a mapping to lists of texts",
            Shape::Number => "a number",
            Shape::PositiveNumber => "a number above 0",
            Shape::Count => "a whole number from 0",
            Shape::Type => "the name of a type or a list of names",
            Shape::Schema => "a schema",
            Shape::SchemaList => "a list of schemas, at least one",
            Shape::SchemaMap | Shape::PatternMap | Shape::RootSchemaMap => "a mapping to schemas",
        };
        let message = format!("expected {expected}, found {}", node.kind());
        self.mistakes.add(node.place, path, message);
    }
}

/// Whether PostgreSQL may read a backreference in a pattern, as `tasker.may_refer_back` has it.
///
/// `\c` takes the next character with it in the usual syntax, but not in the basic one, which an
/// option at the start of the pattern selects: it is read both ways.
fn may_refer_back(pattern: &str) -> bool {
    [true, false].into_iter().any(|control| {
        let mut chars = pattern.chars();
        while chars.by_ref().any(|char| char == '\\') {
            match chars.next() {
                Some('1'..='9') => return true,
                Some('c') if control => drop(chars.next()),
                _ => {}
            }
        }
        false
    })
}

/// What to write instead of a keyword that is not honoured.
fn hint(keyword: &str) -> Option<String> {
    let advice = match keyword {
        "format" => "use `pattern`",
        "definitions" => "use `$defs`",
        "additionalItems" => "use `prefixItems` and `items`",
        "dependencies" | "dependentSchemas" => "use `dependentRequired` or `if` and `then`",
        "nullable" => "add null to `type`",
        "id" => "use `$id`",
        "example" => "use `examples`",
        _ => return did_you_mean(keyword, KEYWORDS.iter().map(|(keyword, _)| *keyword)),
    };
    Some(advice.to_owned())
}
