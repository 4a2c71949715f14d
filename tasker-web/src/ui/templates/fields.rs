//! The fields that an input schema describes.
//!
//! What a form shows, reads and is filled in with follows this one description. A form is a help only: the
//! database checks each context against the whole schema. What does not fit into a field is typed as JSON.

use serde_json::{Value, json};

/// Objects inside each other that have fields of their own; deeper ones are typed as JSON.
const MOST_DEPTH: usize = 4;

/// Fields of a form; an object with more than are left is typed as JSON.
const MOST_FIELDS: usize = 200;

/// Values that a field offers to choose from.
const MOST_CHOICES: usize = 200;

/// References that are followed from one schema to the next.
const MOST_REFERENCES: usize = 8;

/// The types of values that are typed on a line.
const SCALARS: [&str; 5] = ["null", "boolean", "integer", "number", "string"];

/// A property of the context, or of an object in it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    /// The name of its input. It has positions only, so that no property's name can do harm.
    pub(crate) input: String,
    /// The name of the property.
    pub(crate) property: String,
    /// The way to it, as the database writes it where it refuses a context.
    pub(crate) place: String,
    /// What it is called, and what it is for.
    pub(crate) title: Option<String>,
    pub(crate) description: Option<String>,
    /// What a handler assumes where it is left out, and values that it may have.
    pub(crate) default: Option<Value>,
    pub(crate) examples: Vec<Value>,
    pub(crate) is_required: bool,
    /// Whether it may have many characters.
    pub(crate) is_long: bool,
    pub(crate) kind: Kind,
}

/// How a property is typed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// One value of these types.
    Scalar(Vec<&'static str>),
    /// One of these values.
    Choice(Vec<Value>),
    /// Nothing to type: it has this value.
    Constant(Value),
    /// Values of these types, one a line.
    List(Vec<&'static str>),
    /// An object with fields of its own.
    Group(Vec<Field>),
    /// Anything, as JSON.
    Json,
}

impl Field {
    /// A field that no schema describes, with this name and title.
    pub(super) fn plain(input: &str, title: &str, description: &str, kind: Kind) -> Self {
        Self {
            input: input.to_owned(),
            property: title.to_owned(),
            place: title.to_owned(),
            title: None,
            description: Some(description.to_owned()),
            default: None,
            examples: Vec::new(),
            is_required: false,
            is_long: false,
            kind,
        }
    }
}

/// The fields for what this schema describes; none where only JSON fits.
pub(crate) fn fields(schema: &Value) -> Vec<Field> {
    let mut describing = Describing {
        root: schema,
        left: MOST_FIELDS,
    };
    describing
        .group(schema, "f", "", MOST_DEPTH)
        .unwrap_or_default()
}

struct Describing<'a> {
    root: &'a Value,
    left: usize,
}

impl<'a> Describing<'a> {
    fn group(
        &mut self,
        schema: &'a Value,
        input: &str,
        place: &str,
        depth: usize,
    ) -> Option<Vec<Field>> {
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
        let numbered = properties.into_iter().enumerate();
        let fields = numbered.map(|(number, (name, schema))| {
            let target = self.resolve(schema);
            let about = |keyword| schema.get(keyword).or_else(|| target.get(keyword));
            let text = |keyword| about(keyword).and_then(Value::as_str).map(str::to_owned);
            let (input, place) = (
                format!("{input}.{number}"),
                format!("{place}{}", segment(name)),
            );
            let is_required = position(name).is_some();
            Field {
                property: name.clone(),
                title: text("title"),
                description: text("description"),
                default: about("default").cloned(),
                examples: about("examples")
                    .and_then(Value::as_array)
                    .map_or_else(Vec::new, |all| all.iter().take(3).cloned().collect()),
                is_required,
                is_long: target["maxLength"].as_u64().is_some_and(|most| most > 200),
                kind: self.kind(target, is_required, &input, &place, depth),
                input,
                place,
            }
        });
        Some(fields.collect())
    }

    fn kind(
        &mut self,
        schema: &'a Value,
        is_required: bool,
        input: &str,
        place: &str,
        depth: usize,
    ) -> Kind {
        if let Some(value) = schema.get("const") {
            return if is_required {
                Kind::Constant(value.clone())
            } else {
                Kind::Choice(vec![value.clone()])
            };
        }
        let choices = schema["enum"].as_array();
        if let Some(values) = choices.filter(|values| (1..=MOST_CHOICES).contains(&values.len())) {
            return Kind::Choice(values.clone());
        }
        if let Some(types) = scalars(schema) {
            return match types.as_slice() {
                ["null"] => Kind::Choice(vec![Value::Null]),
                ["boolean"] => Kind::Choice(vec![json!(true), json!(false)]),
                _ => Kind::Scalar(types),
            };
        }
        if schema["type"] == "array" && schema.get("prefixItems").is_none() {
            let items = self.resolve(&schema["items"]);
            return scalars(items).map_or(Kind::Json, Kind::List);
        }
        let is_object = schema["type"] == "object";
        let group = is_object.then(|| self.group(schema, input, place, depth - 1));
        group.flatten().map_or(Kind::Json, Kind::Group)
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

/// The types that a schema allows, where all of them are typed on a line.
fn scalars(schema: &Value) -> Option<Vec<&'static str>> {
    let named: Vec<&str> = match (&schema["type"], &schema["enum"]) {
        (Value::String(one), _) => vec![one],
        (Value::Array(several), _) => several.iter().filter_map(Value::as_str).collect(),
        (Value::Null, Value::Array(values)) => values.iter().map(type_of).collect(),
        _ => return None,
    };
    let all = !named.is_empty() && named.iter().all(|name| SCALARS.contains(name));
    all.then(|| {
        let allowed = SCALARS.into_iter().filter(|name| named.contains(name));
        allowed.collect()
    })
}

pub(super) const fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
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
