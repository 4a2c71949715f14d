//! What holds for every template and every text, whatever is in it.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// Steps with edges only to earlier ones, in a shuffled order.
fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let input = prop::collection::btree_map("[a-z]{1,3}", any::<i32>(), 0..3);
    let retry = (
        1u32..=1_000,
        0usize..3,
        0u64..10_000,
        0u64..10_000,
        any::<bool>(),
    );
    let step = (
        "[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,12}",
        input,
        retry,
        10u64..100_000,
        prop::sample::select(DependencyResults::ALL.to_vec()),
    );
    vec((step, vec(any::<prop::sample::Index>(), 0..4)), 1..30)
        .prop_map(|steps| {
            let names = steps
                .iter()
                .enumerate()
                .map(|(index, _)| format!("s{index}"));
            let names: Vec<String> = names.collect();
            let step = |(index, (step, parents)): (usize, _)| {
                let (handler, input, retry, timeout_ms, dependency_results) = step;
                let parents: Vec<prop::sample::Index> = parents;
                let mut depends_on: Vec<String> = match index {
                    0 => Vec::new(),
                    _ => parents
                        .iter()
                        .map(|parent| names[parent.index(index)].clone())
                        .collect(),
                };
                depends_on.sort();
                depends_on.dedup();
                let (max_attempts, backoff, base_ms, more_ms, jitter) = retry;
                Step {
                    name: names[index].clone(),
                    handler,
                    depends_on,
                    input: json!(input),
                    retry: RetryPolicy {
                        max_attempts,
                        backoff: Backoff::ALL[backoff],
                        base_ms,
                        max_ms: base_ms + more_ms,
                        jitter,
                    },
                    timeout_ms,
                    dependency_results,
                }
            };
            steps.into_iter().enumerate().map(step).collect::<Vec<_>>()
        })
        .prop_shuffle()
}

proptest! {
    #[test]
    fn a_template_is_what_its_document_says(
        steps in any_steps(),
        description in proptest::option::of("[^\\x00]{0,40}"),
        with_schema in any::<bool>(),
        paths in proptest::collection::btree_set("[a-zü@$\\[\\]-]{1,5}(\\.[0-9a-z_]{1,5}){0,2}", 0..16),
        retained in proptest::collection::vec("complete|error|cancelled|resolved_manually", 0..4),
    ) {
        let template = Template {
            namespace: "shop".to_owned(),
            name: "order".to_owned(),
            version: "1.2.3".to_owned(),
            description,
            input_schema: with_schema.then(|| json!({ "type": "object", "required": ["id"] })),
            retention: retained
                .into_iter()
                .map(|outcome| (outcome, "30d".to_owned()))
                .collect(),
            search: paths.into_iter().collect(),
            steps,
        };
        let document = template.document();
        prop_assert_eq!(&Template::parse_json(&document.to_string()), &Ok(template.clone()));
        let pretty = serde_json::to_string_pretty(&document).unwrap();
        prop_assert_eq!(Template::parse_json(&pretty), Ok(template));
        let schema = Template::json_schema();
        prop_assert!(jsonschema::draft202012::new(&schema).unwrap().is_valid(&document));
    }

    #[test]
    fn no_change_to_a_template_makes_the_parser_panic(
        at in any::<prop::sample::Index>(),
        length in 0usize..40,
        other in ".{0,20}",
    ) {
        let text = include_str!("../../../examples/order_fulfillment/template.yaml");
        let characters: Vec<char> = text.chars().collect();
        let start = at.index(characters.len());
        let end = (start + length).min(characters.len());
        let mut changed: String = characters[..start].iter().collect();
        changed.push_str(&other);
        changed.extend(&characters[end..]);
        let _ = Template::parse_yaml(&changed);
        let _ = Template::parse_json(&changed);
    }

    #[test]
    fn no_json_value_in_the_place_of_another_makes_the_parser_panic(
        key in prop::sample::select(KEYS.to_vec()),
        value in prop::sample::select(vec![
            json!(null), json!(true), json!(-1), json!(1.5), json!("x"), json!([null]), json!({}),
            json!([{}]), json!({ "a": [] }),
        ]),
    ) {
        let mut document = Template::parse_yaml(include_str!("../../../examples/graphs/diamond.yaml")).unwrap().document();
        replace_everywhere(&mut document, key, &value);
        let _ = Template::parse_json(&document.to_string());
    }
}

const KEYS: [&str; 13] = [
    "namespace",
    "name",
    "version",
    "steps",
    "handler",
    "depends_on",
    "input",
    "retry",
    "max_attempts",
    "backoff",
    "jitter",
    "timeout_ms",
    "dependency_results",
];

fn replace_everywhere(document: &mut Value, key: &str, value: &Value) {
    match document {
        Value::Object(map) => {
            for (name, inner) in map.iter_mut() {
                if name == key {
                    *inner = value.clone();
                } else {
                    replace_everywhere(inner, key, value);
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                replace_everywhere(item, key, value);
            }
        }
        _ => {}
    }
}
