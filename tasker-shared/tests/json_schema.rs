//! The JSON Schema checks in the database against an independent implementation of the standard,
//! and against the checks that a template gets when it is parsed.

use std::cell::Cell;

use jsonschema::Validator;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};
use sqlx::PgPool;
use tasker_shared::template::{Template, TemplateErrors};
use tasker_testing::TestDatabase;
use tokio::runtime::Runtime;

const KEYS: [&str; 4] = ["a", "b", "ab", "a b"];
const PATTERNS: [&str; 6] = ["^a", "b$", "^$", "[ab]{2}", "^(a|b)+$", r"\d"];

/// Small values that schemas over the same few keys, words and numbers have a say about.
fn any_value() -> BoxedStrategy<Value> {
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
fn any_assertion() -> impl Strategy<Value = (String, Value)> {
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
fn any_applicator(inner: BoxedStrategy<Value>) -> impl Strategy<Value = (String, Value)> {
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
fn any_schema(leaf: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Value> {
    let simple = vec(any_assertion(), 0..3).prop_map(|keywords| keywords.into_iter().collect());
    prop_oneof![1 => any::<bool>().prop_map(Value::from), 8 => simple, 2 => leaf]
        .prop_recursive(3, 16, 3, |inner| {
            (vec(any_assertion(), 0..2), vec(any_applicator(inner), 1..4))
                .prop_map(|(assertions, rest)| assertions.into_iter().chain(rest).collect())
        })
        .boxed()
}

/// A whole schema; what is in its `$defs` refers to itself only one level further down.
fn any_root() -> impl Strategy<Value = Value> {
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

/// How often the answer was yes and no: a comparison over one-sided cases proves little.
#[derive(Debug, Default)]
struct Tally {
    yes: Cell<u32>,
    no: Cell<u32>,
}

impl Tally {
    fn count(&self, answer: bool) {
        let cell = if answer { &self.yes } else { &self.no };
        cell.set(cell.get() + 1);
    }

    fn assert_both_above(&self, least: u32) {
        assert!(
            self.yes.get() > least && self.no.get() > least,
            "one-sided cases: {self:?}"
        );
    }
}

fn runner() -> TestRunner {
    TestRunner::new(Config {
        failure_persistence: None,
        ..Config::default()
    })
}

/// What the database says about a schema, and about each value.
async fn ask(pool: &PgPool, schema: &Value, values: &[Value]) -> (Option<String>, Vec<bool>) {
    let refusal = sqlx::query_scalar("select tasker.json_schema_refusal($1)");
    let refusal = refusal
        .bind(schema)
        .fetch_one(pool)
        .await
        .expect("a refusal");
    let verdicts = sqlx::query_scalar(
        "select tasker.json_schema_error($1, value) is null
         from unnest($2::jsonb[]) with ordinality as v(value, position) order by position",
    );
    (
        refusal,
        verdicts
            .bind(schema)
            .bind(values)
            .fetch_all(pool)
            .await
            .expect("verdicts"),
    )
}

fn validator(schema: &Value) -> Validator {
    jsonschema::draft202012::new(schema).expect("the generated schema is one")
}

#[test]
fn the_database_judges_values_as_the_standard_does() {
    let runtime = Runtime::new().unwrap();
    let _context = runtime.enter();
    let db = runtime.block_on(TestDatabase::create());
    let pool = db.pool();
    let tally = Tally::default();
    let outcome = runner().run(&(any_root(), vec(any_value(), 12)), |case| {
        let (schema, values) = case;
        let (refusal, verdicts) = runtime.block_on(ask(&pool, &schema, &values));
        prop_assert_eq!(refusal, None, "of {}", schema);
        let validator = validator(&schema);
        for (value, verdict) in values.iter().zip(verdicts) {
            prop_assert_eq!(
                verdict,
                validator.is_valid(value),
                "{} for {}",
                schema,
                value
            );
            tally.count(verdict);
        }
        Ok(())
    });
    outcome.unwrap();
    tally.assert_both_above(300);
}

#[test]
fn the_database_refuses_the_schemas_that_the_parser_refuses() {
    let runtime = Runtime::new().unwrap();
    let _context = runtime.enter();
    let db = runtime.block_on(TestDatabase::create());
    let pool = db.pool();
    let references = [
        "#",
        "#/$defs/x",
        "#/$defs/y",
        "#/$defs/a~1b",
        "#/$defs/x/not",
        "other.json#/$defs/x",
    ];
    let keyword = prop_oneof![
        8 => any_assertion(),
        1 => any_assertion().prop_map(|(name, _)| (name, json!([]))),
        1 => (any_assertion(), any_value()).prop_map(|((name, _), value)| (name, value)),
        4 => any_applicator(any_schema(Just(json!({"format": "date"})))),
        1 => (any_applicator(Just(json!({})).boxed()), any_value())
            .prop_map(|((name, _), value)| (name, value)),
        2 => select(references.to_vec()).prop_map(|target| ("$ref".to_owned(), json!(target))),
        1 => Just(("$defs".to_owned(), json!({"x": {"$id": "nested"}}))),
        2 => Just(("$defs".to_owned(), json!({"x": {}, "a/b": true}))),
        1 => select(vec!["format", "definitions", "$anchor", "Type"])
            .prop_map(|name| (name.to_owned(), json!({}))),
    ];
    let tally = Tally::default();
    let outcome = runner().run(&vec(keyword, 0..4), |keywords| {
        let schema: Value = keywords.into_iter().collect();
        let (refusal, _) = runtime.block_on(ask(&pool, &schema, &[]));
        let parsed = parse_with(&schema);
        prop_assert_eq!(
            refusal.is_none(),
            parsed.is_ok(),
            "{:?} {:?}",
            refusal,
            parsed
        );
        tally.count(refusal.is_none());
        Ok(())
    });
    outcome.unwrap();
    tally.assert_both_above(30);
}

/// Parses a template with this input schema.
fn parse_with(schema: &Value) -> Result<Template, TemplateErrors> {
    let template = json!({
        "namespace": "n", "name": "n", "version": "1.0.0", "input_schema": schema,
        "steps": [{ "name": "n", "handler": "h" }],
    });
    Template::parse_json(&template.to_string())
}

async fn error_of(pool: &PgPool, schema: Value, value: Value) -> Option<String> {
    let error = sqlx::query_scalar("select tasker.json_schema_error($1, $2)");
    error
        .bind(schema)
        .bind(value)
        .fetch_one(pool)
        .await
        .expect("an answer")
}

#[tokio::test]
async fn an_error_names_the_place_and_what_is_wrong_there() {
    let db = TestDatabase::create().await;
    let pool = db.pool();
    let order = json!({
        "type": "object",
        "required": ["order_id"],
        "additionalProperties": false,
        "properties": {
            "order_id": { "type": ["integer", "string"] },
            "lines": { "items": { "properties": { "sku": { "pattern": "^[A-Z]+$" } } } },
            "speed": { "enum": ["standard", "express"] },
            "gift": { "anyOf": [{ "type": "boolean" }, { "type": "string", "minLength": 2 }] }
        }
    });
    for (value, expected) in [
        (
            json!({ "order_id": 1, "lines": [{ "sku": "AB" }], "gift": true }),
            None,
        ),
        (json!([]), Some("expected object, found array")),
        (json!({}), Some("order_id: is missing")),
        (
            json!({ "order_id": 1.5 }),
            Some("order_id: expected integer or string, found 1.5"),
        ),
        (
            json!({ "order_id": 1, "oder": 2 }),
            Some("oder: is not allowed"),
        ),
        (
            json!({ "order_id": 1, "the note": 2 }),
            Some(r#"["the note"]: is not allowed"#),
        ),
        (
            json!({ "order_id": 1, "lines": [{}, { "sku": "a" }] }),
            Some("lines[1].sku: does not match the pattern ^[A-Z]+$"),
        ),
        (
            json!({ "order_id": 1, "speed": "fast" }),
            Some(r#"speed: is none of ["standard", "express"]"#),
        ),
        (
            json!({ "order_id": 1, "gift": 5 }),
            Some("gift: matches no schema of anyOf; the first says expected boolean, found 5"),
        ),
    ] {
        let error = error_of(&pool, order.clone(), value.clone()).await;
        assert_eq!(error.as_deref(), expected, "for {value}");
    }
}

#[tokio::test]
async fn without_a_schema_everything_is_right() {
    let db = TestDatabase::create().await;
    let query = sqlx::query_scalar("select tasker.json_schema_error(null, '{}')");
    let error: Option<String> = query.fetch_one(&db.pool()).await.unwrap();
    assert_eq!(error, None);
}

#[tokio::test]
async fn a_schema_that_refers_to_itself_without_end_is_refused_when_it_is_applied() {
    let db = TestDatabase::create().await;
    let endless = json!({ "anyOf": [{ "$ref": "#" }, { "$ref": "#" }] });
    let query = sqlx::query("select tasker.json_schema_error($1, '1')").bind(endless);
    let error = query.execute(&db.pool()).await.unwrap_err();
    let error = error.as_database_error().expect("an error of the database");
    assert_eq!(error.code().as_deref(), Some("TK400"));
    assert!(error.message().contains("more than 64 schemas"), "{error}");
}

#[tokio::test]
async fn a_pattern_that_postgresql_cannot_compile_is_refused() {
    let db = TestDatabase::create().await;
    let query = sqlx::query_scalar("select tasker.json_schema_refusal($1)");
    let schema = json!({ "properties": { "sku": { "pattern": "(" } } });
    let refusal: Option<String> = query.bind(schema).fetch_one(&db.pool()).await.unwrap();
    let expected =
        "properties.sku.pattern: invalid regular expression: parentheses () not balanced";
    assert!(
        refusal
            .as_deref()
            .is_some_and(|text| text.starts_with(expected)),
        "{refusal:?}"
    );
}

/// Patterns, and whether PostgreSQL may read a backreference in them.
const BACKREFERENCES: [(&str, bool); 19] = [
    (r"^[A-Z]{2}\d+$", false),
    (r"^(a|b)\.\w+$", false),
    (r"^a\\1$", false),
    (r"^(a)\\\\9$", false),
    (r"^[\\1]$", false),
    (r"^(a)\0$", false),
    (r"^(a)\x31\u0032$", false),
    (r"^1(a)$", false),
    (r"(a*)\1", true),
    (r"^(?:(a))\1$", true),
    (r"^(a)(b)\\\2$", true),
    (r"^()()()()()()()()()(a)\10$", true),
    // The control character `\c\`, and after it a backreference.
    (r"^(a)\c\\1$", true),
    // The basic syntax, in which `\c` is the letter.
    (r"(?b)^\(a\)\c\1$", true),
    (r"(?b)^\(a\)[\]\1$", true),
    ("(?x)(a) # it\n\\1", true),
    // No backreferences to PostgreSQL, but not worth telling apart: an octal code without and
    // within brackets, and an invalid escape.
    (r"^a\12$", true),
    (r"^(a)[\12]$", true),
    (r"^(a)[\1]$", true),
];

#[tokio::test]
async fn a_pattern_with_a_backreference_is_refused_by_the_database_and_the_parser() {
    let db = TestDatabase::create().await;
    let pool = db.pool();
    for (pattern, refers_back) in BACKREFERENCES {
        for schema in [
            json!({ "properties": { "sku": { "pattern": pattern } } }),
            json!({ "patternProperties": { pattern: true } }),
        ] {
            let (refusal, _) = ask(&pool, &schema, &[]).await;
            let parsed = parse_with(&schema).err();
            let mistake = parsed.as_ref().map(|errors| &errors.as_slice()[0]);
            let complaint = r"a backreference like `\1` can take exponential time";
            assert_eq!(
                refusal.as_deref().map(|text| text.contains(complaint)),
                refers_back.then_some(true),
                "{pattern}: {refusal:?}"
            );
            assert_eq!(
                mistake.map(|mistake| mistake.message == complaint && mistake.hint.is_some()),
                refers_back.then_some(true),
                "{pattern}: {mistake:?}"
            );
        }
    }
}

#[tokio::test]
async fn the_refusal_of_a_backreference_says_where_it_is_and_how_to_mend_it() {
    let db = TestDatabase::create().await;
    let schema = json!({ "properties": { "sku": { "pattern": r"(a*)\1" } } });
    let (refusal, _) = ask(&db.pool(), &schema, &[]).await;
    assert_eq!(
        refusal.as_deref(),
        Some(
            r"properties.sku.pattern: a backreference like `\1` can take exponential time, in (a*)\1 (write out what it repeats, or check it in a handler)"
        )
    );
    let parsed = parse_with(&schema).unwrap_err();
    assert_eq!(
        parsed.to_string(),
        r"line 1, column 49: input_schema.properties.sku.pattern: a backreference like `\1` can take exponential time (write out what it repeats, or check it in a handler)"
    );
}
