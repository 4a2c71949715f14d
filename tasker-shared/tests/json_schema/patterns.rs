//! Patterns that PostgreSQL cannot compile, and backreferences, which it would.

use serde_json::json;
use tasker_testing::TestDatabase;

use crate::{ask, parse_with};

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
