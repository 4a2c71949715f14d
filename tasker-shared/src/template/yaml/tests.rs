//! What the reader of documents promises.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn yaml(text: &str) -> Result<Value, String> {
    let mut mistakes = Mistakes::default();
    let node = read_yaml(text, &mut mistakes);
    mistakes
        .or_else(node)
        .map(|node| node.to_json())
        .map_err(|errors| errors.to_string())
}

fn json_text(text: &str) -> Result<Value, String> {
    let mut mistakes = Mistakes::default();
    let node = read_json(text, &mut mistakes);
    mistakes
        .or_else(node)
        .map(|node| node.to_json())
        .map_err(|errors| errors.to_string())
}

#[test]
fn unquoted_scalars_mean_what_the_core_schema_of_yaml_1_2_says() {
    let text = "[1, -7, +3, 017, 0o17, 0x1F, 1.5, .5, 1e3, true, True, ~, null, ~, yes, on, off, \
                1_000, 0b1, inf, nan, 1:30, 2020-01-01, 1.0.0, '1', \"true\", !!str 5, e1, .]";
    let expected = json!([
        1,
        -7,
        3,
        17,
        15,
        31,
        1.5,
        0.5,
        1000.0,
        true,
        true,
        null,
        null,
        null,
        "yes",
        "on",
        "off",
        "1_000",
        "0b1",
        "inf",
        "nan",
        "1:30",
        "2020-01-01",
        "1.0.0",
        "1",
        "true",
        "5",
        "e1",
        "."
    ]);
    assert_eq!(yaml(text), Ok(expected));
}

#[test]
fn an_alias_is_a_copy_of_what_it_stands_for() {
    assert_eq!(yaml("a: &x {b: [1, &y 2]}\nc: *x\nd: *y"), {
        Ok(json!({ "a": { "b": [1, 2] }, "c": { "b": [1, 2] }, "d": 2 }))
    });
}

#[test]
fn what_yaml_offers_beyond_data_is_refused() {
    let refused = [
        (
            "a: !include x.yaml",
            "line 1, column 13: a: the tag `!include` is not supported",
        ),
        (
            "a: !!binary aGk=",
            "line 1, column 13: a: the tag `!!binary` is not supported",
        ),
        (
            "a: &a [*a]",
            "line 1, column 8: a[0]: the alias stands inside of what it stands for",
        ),
        ("a: *b", "line 1, column 4: not YAML: "),
        ("<<: {a: 1}", "line 1, column 1: merge keys"),
        (
            "a: 1\n---\nb: 2",
            "line 2, column 1: a second document begins here",
        ),
        ("? [a]\n: b", "line 1, column 3: a key must be text"),
        ("~: b", "line 1, column 1: a key must be text"),
        (
            "a: .inf",
            "line 1, column 4: a: the number .inf is out of range",
        ),
        (
            "a: 1e999",
            "line 1, column 4: a: the number 1e999 is out of range",
        ),
        (
            "a: 99999999999999999999",
            "line 1, column 4: a: the number 9999",
        ),
        (
            "a: \"x\\0\"",
            "line 1, column 4: a: text must not contain the character U+0000",
        ),
        ("", "the document is empty"),
        ("a: [", "line 1, column 4: not YAML: unclosed bracket"),
        (
            "a: {b: 1,\n b: 2}",
            "line 2, column 2: a: the key `b` is there already, on line 1",
        ),
    ];
    for (text, expected) in refused {
        let error = yaml(text).expect_err(text);
        assert!(error.starts_with(expected), "{text:?} gave {error:?}");
    }
}

#[test]
fn what_json_does_not_allow_is_refused_at_its_place() {
    for (text, expected) in [
        (
            "{\n \"a\": 1,}",
            "line 2, column 9: not JSON: key must be a string",
        ),
        (
            "{\"a\": 1, \"a\": 2}",
            "line 1, column 10: the key `a` is there already, on line 1",
        ),
        ("a: 1", "line 1, column 1: not JSON: expected value"),
        ("", "line 1, column 0: not JSON: EOF"),
        ("\"\\ud800\"", "line 1, column "),
    ] {
        let error = json_text(text).expect_err(text);
        assert!(error.starts_with(expected), "{text:?} gave {error:?}");
    }
}

#[test]
fn a_billion_laughs_end_soon() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        text += &[
            "a",
            &level.to_string(),
            ": &a",
            &level.to_string(),
            " [",
            &aliases,
            "]\n",
        ]
        .concat();
    }
    let error = yaml(&text).unwrap_err();
    assert!(error.contains("more than 200000 nodes"), "{error}");
}

#[test]
fn aliases_of_a_long_text_end_soon_too() {
    let text = format!(
        "a: &a {}\nb: [{}]",
        "x".repeat(1 << 20),
        vec!["*a"; 100_000].join(", ")
    );
    let error = yaml(&text).unwrap_err();
    assert!(error.contains("more than 200000 nodes"), "{error}");
}

#[test]
fn what_windows_does_to_text_is_no_mistake() {
    assert_eq!(
        yaml("\u{feff}a: 1\r\nb:\r\n  - c\r\n"),
        Ok(json!({ "a": 1, "b": ["c"] }))
    );
}

#[test]
fn nesting_is_limited_in_every_notation() {
    let flow = format!("{}{}", "[".repeat(101), "]".repeat(101));
    let block: Vec<String> = (0..101).map(|depth| " ".repeat(depth) + "a:\n").collect();
    let deeper = "[".repeat(100_000);
    for text in [flow, block.concat(), deeper] {
        let error = yaml(&text).unwrap_err();
        assert!(error.contains("nest"), "{error}");
    }
    assert!(yaml(&format!("{}{}", "[".repeat(100), "]".repeat(100))).is_ok());
}

#[test]
fn a_document_beyond_the_limit_is_not_even_read() {
    let error = yaml(&"#".repeat(MAX_DOCUMENT_BYTES + 1)).unwrap_err();
    assert_eq!(
        error,
        "the document has 4194305 bytes; at most 4194304 are accepted"
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        prop::num::f64::NORMAL.prop_map(Value::from),
        "[^\\x00]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[^\\x00]{0,8}", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn every_json_value_is_read_as_what_it_is(value in any_json()) {
        let tabs = serde_json::to_string_pretty(&value).unwrap().replace("\n  ", "\n\t");
        prop_assert_eq!(json_text(&value.to_string()), Ok(value.clone()));
        prop_assert_eq!(json_text(&tabs), Ok(value));
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,80}") {
        let _ = yaml(&text);
        let _ = json_text(&text);
    }

    #[test]
    fn no_arrangement_of_yaml_tokens_makes_the_reader_panic(
        tokens in prop::collection::vec(prop::sample::select(TOKENS.to_vec()), 0..40)
    ) {
        let _ = yaml(&tokens.concat());
    }
}

const TOKENS: [&str; 28] = [
    "a",
    "b: ",
    "- ",
    "? ",
    ": ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\n",
    "\n  ",
    "\n    ",
    "&x ",
    "*x ",
    "!t ",
    "!!str ",
    "|\n",
    ">-\n",
    "'",
    "\"",
    "\\",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "#c",
    "\t",
    "<<: ",
];
