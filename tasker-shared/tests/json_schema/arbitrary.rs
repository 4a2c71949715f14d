//! Random values and schemas that have a say about each other.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Map, Value, json};

const KEYS: [&str; 4] = ["a", "b", "ab", "a b"];
const PATTERNS: [&str; 6] = ["^a", "b$", "^$", "[ab]{2}", "^(a|b)+$", r"\d"];

/// Small values that schemas over the same few keys, words and numbers have a say about.
pub(crate) fn any_value() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2i64..6).prop_map(Value::from),
        (-8i32..24).prop_map(|quarters| json!(f64::from(quarters) / 4.0)),
        select(vec!["", "a", "b", "ab", "ba", "ä", "a1", "a b c"]).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            any_map(inner).prop_map(Value::from),
        ]
    })
    .boxed()
}

fn any_map(values: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
    btree_map(select(KEYS.to_vec()), values, 0..4).prop_map(|map| {
        map.into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect()
    })
}

fn any_keys() -> impl Strategy<Value = Value> {
    subsequence(KEYS.to_vec(), 0..3).prop_map(|keys| json!(keys))
}

/// One keyword about the value itself.
pub(crate) fn any_assertion() -> impl Strategy<Value = (String, Value)> {
    let count = || (0u8..4).prop_map(|count| json!(count));
    let number = || (-4i32..12).prop_map(|halves| json!(f64::from(halves) / 2.0));
    let types = [
        "null", "boolean", "object", "array", "number", "integer", "string",
    ];
    let keyword = |name: &'static str| move |value: Value| (name.to_owned(), value);
    prop_oneof![
        select(types.to_vec()).prop_map(|name| ("type".to_owned(), json!(name))),
        subsequence(types.to_vec(), 1..4).prop_map(|names| ("type".to_owned(), json!(names))),
        vec(any_value(), 0..4).prop_map(|values| ("enum".to_owned(), json!(values))),
        any_value().prop_map(keyword("const")),
        any_keys().prop_map(keyword("required")),
        any_map(any_keys()).prop_map(|map| ("dependentRequired".to_owned(), map.into())),
        (select(COUNTS.to_vec()), count()).prop_map(|(name, count)| (name.to_owned(), count)),
        (select(BOUNDS.to_vec()), number()).prop_map(|(name, bound)| (name.to_owned(), bound)),
        select(vec![json!(1), json!(2), json!(0.5), json!(1.5)]).prop_map(keyword("multipleOf")),
        any::<bool>().prop_map(|unique| ("uniqueItems".to_owned(), unique.into())),
        select(PATTERNS.to_vec()).prop_map(|pattern| ("pattern".to_owned(), json!(pattern))),
        Just(("title".to_owned(), json!("an annotation"))),
    ]
}

const COUNTS: [&str; 8] = [
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minContains",
    "maxContains",
    "minProperties",
    "maxProperties",
];
const BOUNDS: [&str; 4] = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"];

/// One keyword that applies other schemas.
pub(crate) fn any_applicator(
    inner: BoxedStrategy<Value>,
) -> impl Strategy<Value = (String, Value)> {
    let one = ["additionalProperties", "propertyNames", "items", "contains"];
    let conditions = ["not", "if", "then", "else"];
    let some = ["prefixItems", "allOf", "anyOf", "oneOf"];
    let patterns = btree_map(select(PATTERNS.to_vec()), inner.clone(), 0..3);
    prop_oneof![
        (select(one.to_vec()), inner.clone()).prop_map(|(name, one)| (name.to_owned(), one)),
        (select(conditions.to_vec()), inner.clone()).prop_map(|(name, one)| (name.to_owned(), one)),
        (select(some.to_vec()), vec(inner.clone(), 1..4))
            .prop_map(|(name, schemas)| (name.to_owned(), schemas.into())),
        any_map(inner).prop_map(|map| ("properties".to_owned(), map.into())),
        patterns.prop_map(|map| ("patternProperties".to_owned(), json!(map))),
    ]
}

/// A schema without `$defs`; `leaf` is mixed in at the ends.
pub(crate) fn any_schema(leaf: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Value> {
    let simple = vec(any_assertion(), 0..3).prop_map(|keywords| keywords.into_iter().collect());
    prop_oneof![1 => any::<bool>().prop_map(Value::from), 8 => simple, 2 => leaf]
        .prop_recursive(3, 16, 3, |inner| {
            (vec(any_assertion(), 0..2), vec(any_applicator(inner), 1..4))
                .prop_map(|(assertions, rest)| assertions.into_iter().chain(rest).collect())
        })
        .boxed()
}

/// A whole schema; what is in its `$defs` refers to itself only one level further down.
pub(crate) fn any_root() -> impl Strategy<Value = Value> {
    let reference = || {
        select(vec![
            json!({"$ref": "#/$defs/x"}),
            json!({"$ref": "#/$defs/y~1z"}),
        ])
    };
    let definition = || any_schema(Just(json!({})));
    (any_schema(reference()), definition(), definition()).prop_map(|(schema, x, y)| {
        let Value::Object(mut schema) = schema else {
            return schema;
        };
        let down = json!({ "properties": { "a": { "$ref": "#/$defs/x" } } });
        schema.insert(
            "$defs".to_owned(),
            json!({ "x": { "allOf": [x, down] }, "y/z": y }),
        );
        Value::Object(schema)
    })
}
