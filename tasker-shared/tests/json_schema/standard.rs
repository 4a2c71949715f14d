//! The database and the standard judge alike.

use std::cell::Cell;

use jsonschema::Validator;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use tasker_testing::TestDatabase;
use tokio::runtime::Runtime;

use crate::arbitrary::{any_applicator, any_assertion, any_root, any_schema, any_value};
use crate::{ask, parse_with};

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
