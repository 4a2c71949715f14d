use serde_json::{Map, json};

use super::*;
use crate::ui::fields::{Mistakes, Typed, read};

/// Names that a program may mistake for something else.
const HOSTILE: [&str; 10] = [
    "__proto__",
    "a.b",
    "a[0]",
    "\"quoted\" 'name'",
    "<script>",
    "עברית",
    "\u{202e}turned",
    "f.0",
    "",
    "version",
];

fn typed_as(inputs: &[(&str, &str)]) -> Typed {
    let inputs = inputs.iter();
    inputs
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}

/// What a schema of the one property `it` reads from this text.
fn read_one(schema: &Value, text: &str) -> Result<Option<Value>, String> {
    let fields = fields(&json!({"properties": {"it": schema}}));
    let mut mistakes = Mistakes::new();
    let mut values = read(&fields, &typed_as(&[("f.0", text)]), &mut mistakes);
    match mistakes.remove("f.0") {
        Some(mistake) => Err(mistake),
        None => Ok(values.remove("it")),
    }
}

#[test]
fn each_type_is_read_as_itself() {
    for (schema, text, value) in [
        (json!({"type": "string"}), "12", json!("12")),
        (json!({"type": "string"}), "\"quoted\"", json!("\"quoted\"")),
        (
            json!({"type": "string", "maxLength": 500}),
            "two\nlines",
            json!("two\nlines"),
        ),
        (json!({"type": "integer"}), " -12 ", json!(-12)),
        (
            json!({"type": "integer"}),
            "18446744073709551615",
            json!(u64::MAX),
        ),
        (json!({"type": "number"}), "1.5e3", json!(1500.0)),
        (json!({"type": "boolean"}), "false", json!(false)),
        (json!({"const": null}), "null", json!(null)),
        (json!({"enum": ["a", 1, null]}), "null", json!(null)),
        (json!({"enum": ["a", 1, null]}), "\"a\"", json!("a")),
        (json!({"const": {"a": 1}}), "{\"a\":1}", json!({"a": 1})),
        (json!({"type": ["integer", "string"]}), "12", json!(12)),
        (json!({"type": ["string", "null"]}), "null", json!("null")),
        (json!({"type": ["boolean", "null"]}), "null", json!(null)),
        (
            json!({"type": "array", "items": {"type": "integer"}}),
            "1\n\n 2",
            json!([1, 2]),
        ),
        (
            json!({"type": "array", "items": {"type": "string"}}),
            "a b\r\n\n\"c\"",
            json!(["a b", "\"c\""]),
        ),
        (json!({"type": "array"}), "[{}]", json!([{}])),
        (json!({"type": "object"}), "{\"a\": 1}", json!({"a": 1})),
        (json!({"anyOf": [{"type": "integer"}]}), "5", json!(5)),
        (json!(true), "\"anything\"", json!("anything")),
    ] {
        assert_eq!(read_one(&schema, text), Ok(Some(value)), "{schema} {text}");
    }
}

#[test]
fn what_is_none_of_a_type_is_a_mistake() {
    for (schema, text, mistake) in [
        (
            json!({"type": "integer"}),
            "1.5",
            "expected a whole number of up to 18 digits",
        ),
        (
            json!({"type": "integer"}),
            "123456789012345678901",
            "expected a whole number of up to 18 digits",
        ),
        (
            json!({"type": "number"}),
            "12,5",
            "expected a number such as 12.5",
        ),
        (json!({"type": "boolean"}), "yes", "is none of the choices"),
        (json!({"enum": ["a"]}), "a", "is none of the choices"),
        (
            json!({"type": "array", "items": {"type": "number"}}),
            "1\ntwo",
            "line 2: expected a number such as 12.5",
        ),
    ] {
        assert_eq!(
            read_one(&schema, text),
            Err(mistake.to_owned()),
            "{schema} {text}"
        );
    }
    let mistake = read_one(&json!({}), "{").unwrap_err();
    assert!(mistake.starts_with("this is not JSON"), "{mistake}");
}

#[test]
fn what_is_left_empty_is_left_out() {
    let schema = json!({
        "required": ["null", "list", "group", "text", "always"],
        "properties": {
            "null": {"type": ["integer", "null"]}, "list": {"type": "array", "items": {"type": "string"}},
            "group": {"type": "object", "required": ["inner"], "properties": {"inner": {"type": "string"}}},
            "text": {"type": "string"}, "always": {"const": "so"}, "optional": {"type": "string"},
            "rest": {
                "type": "object", "required": ["kind", "inner"],
                "properties": {"inner": {"type": "string"}, "kind": {"const": 1}},
            },
        },
    });
    let fields = fields(&schema);
    let mut mistakes = Mistakes::new();

    let context = read(&fields, &Typed::new(), &mut mistakes);

    assert_eq!(
        Value::Object(context),
        json!({"null": null, "list": [], "group": {}, "always": "so"})
    );
    // `rest` may be left out as a whole, so that nothing is missing in it.
    let expected = [("f.2.0", "is missing"), ("f.3", "is missing")];
    assert_eq!(mistakes, typed_as(&expected));
}

#[test]
fn required_fields_come_first_in_the_order_of_the_schema() {
    let schema = json!({"required": ["z", "b"], "properties": {"a": {}, "b": {}, "z": {}}});
    let fields = fields(&schema);
    let order: Vec<_> = fields.iter().map(|field| field.property.as_str()).collect();
    assert_eq!(order, ["z", "b", "a"]);
}

#[test]
fn references_are_followed() {
    let schema = json!({
        "$defs": {"a/b~c": {"type": "integer", "title": "Amount"}},
        "properties": {
            "amount": {"$ref": "#/$defs/a~1b~0c", "title": "Total"},
            "nowhere": {"$ref": "#/$defs/nothing"},
        },
    });
    let fields = fields(&schema);
    assert_eq!(fields[0].kind, Kind::One(Scalar::Integer));
    assert_eq!(fields[0].title.as_deref(), Some("Total"));
    assert_eq!(fields[1].kind, Kind::Json);
}

#[test]
fn a_schema_without_end_has_a_form_with_one() {
    let schema =
        json!({"type": "object", "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}});
    let count = |fields: &[Field]| {
        fn all(fields: &[Field]) -> usize {
            let inner = fields.iter().map(|field| match &field.kind {
                Kind::Group(fields) => all(fields),
                _ => 0,
            });
            fields.len() + inner.sum::<usize>()
        }
        all(fields)
    };
    assert_eq!(count(&fields(&schema)), 2 + 4 + 8 + 16);

    let endless = json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}});
    assert_eq!(fields(&endless), []);

    let many = |count: usize| {
        let properties = (0..count).map(|number| (format!("p{number}"), json!({"type": "string"})));
        json!({"type": "object", "properties": properties.collect::<Map<_, _>>()})
    };
    assert_eq!(count(&fields(&many(200))), 200);
    assert_eq!(fields(&many(201)), []);
    let two = json!({"properties": {"a": many(150), "b": many(150)}});
    assert_eq!(fields(&two)[1].kind, Kind::Json);
}

#[test]
fn names_of_properties_are_only_names() {
    let properties = HOSTILE
        .iter()
        .map(|name| ((*name).to_owned(), json!({"type": "string"})));
    let schema = json!({
        "properties": {"group": {"type": "object", "properties": properties.collect::<Map<_, _>>()}},
    });
    let fields = fields(&schema);
    let values = HOSTILE
        .iter()
        .map(|name| ((*name).to_owned(), json!(format!("value of {name:?}"))));
    let expected = json!({"group": values.collect::<Map<_, _>>()});
    let Kind::Group(inner) = &fields[0].kind else {
        panic!("{fields:?}");
    };
    let typed = inner.iter().map(|field| {
        (
            field.input.clone(),
            format!("value of {:?}", field.property),
        )
    });
    let typed: Typed = typed.collect();

    assert_eq!(typed.len(), HOSTILE.len());
    let is_harmless = |input: &String| input.starts_with("f.0.") && !input.contains(['"', '<']);
    assert!(typed.keys().all(is_harmless));
    let read = read(&fields, &typed, &mut Mistakes::new());
    assert_eq!(Value::Object(read), expected);
}

#[test]
fn a_refusal_is_about_the_field_that_it_names() {
    let schema = json!({"properties": {
        "order": {"type": "string"}, "order_id": {"type": "integer"},
        "odd name": {"type": "string"},
        "to": {"type": "object", "properties": {"zip": {"type": "string"}, "a.b": {"type": "string"}}},
        "tags": {"type": "array", "items": {"type": "string"}},
    }});
    let fields = fields(&schema);
    for (refusal, expected) in [
        (".order_id: is missing", Some(("order_id", "is missing"))),
        (
            "[\"odd name\"]: is longer than 3 characters",
            Some(("odd name", "is longer than 3 characters")),
        ),
        (".to.zip: is missing", Some(("zip", "is missing"))),
        (".to[\"a.b\"]: is missing", Some(("a.b", "is missing"))),
        (
            ".to.other: is not allowed",
            Some(("to", "other: is not allowed")),
        ),
        (
            ".tags[2]: is not allowed",
            Some(("tags", "[2]: is not allowed")),
        ),
        (".has fewer than 2 properties", None),
        (".order_nr: is missing", None),
    ] {
        let found = place(&fields, refusal);
        let found = found.map(|(field, mistake)| (field.property.as_str(), mistake));
        assert_eq!(found, expected, "{refusal}");
    }
}
