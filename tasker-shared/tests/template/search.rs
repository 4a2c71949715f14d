//! Which paths a template can name for search.

use tasker_shared::template::Template;

use crate::{MINIMAL, mistakes};

fn with_search(search: &str) -> String {
    format!("search: {search}\n{MINIMAL}")
}

#[test]
fn paths_are_keys_joined_by_dots() {
    let text = with_search("[order_id, customer.email, Größe, a-b.c/d.0, \"'q\\\"\"]");
    let template = Template::parse_yaml(&text).unwrap();
    let paths = ["order_id", "customer.email", "Größe", "a-b.c/d.0", "'q\""];
    assert_eq!(template.search, paths);
    let document = template.document();
    assert_eq!(document["search"], serde_json::json!(paths));
}

#[test]
fn a_template_without_search_has_no_such_key_in_its_document() {
    for text in [MINIMAL.to_owned(), with_search("[]")] {
        let document = Template::parse_yaml(&text).unwrap().document();
        assert!(document.get("search").is_none(), "{document}");
    }
}

#[test]
fn what_is_no_path_is_told_with_its_place_and_a_hint() {
    let hint = "(join keys of 1 to 64 characters by dots, without spaces, =, <, >, ^, !, ~: \
        customer.email)";
    let long = "k".repeat(65);
    for (search, expected) in [
        (
            "order_id",
            "line 1, column 9: search: expected a list, found text (write [order_id])",
        ),
        (
            "[7]",
            "line 1, column 10: search[0]: expected text, found a number (put it in quotes)",
        ),
        ("[a, a]", "line 1, column 13: search[1]: `a` is named twice"),
    ] {
        assert_eq!(mistakes(&with_search(search)), expected);
    }
    for path in [
        "a b", "a..b", ".a", "a.", "", "a=b", "a<b", "a>b", "a^b", "a!b", "a~b", &long,
    ] {
        let found = mistakes(&with_search(&format!("['{path}']")));
        let expected =
            format!("line 1, column 10: search[0]: `{path}` is no path into the context {hint}");
        assert_eq!(found, expected);
    }
}

#[test]
fn sixteen_paths_are_read_and_no_more() {
    let paths = |count: usize| {
        let paths: Vec<String> = (0..count).map(|number| format!("p{number}")).collect();
        with_search(&format!("[{}]", paths.join(", ")))
    };
    assert_eq!(Template::parse_yaml(&paths(16)).unwrap().search.len(), 16);
    let found = mistakes(&paths(17));
    assert!(
        found.ends_with("search: 17 paths; at most 16 are accepted"),
        "{found}"
    );
}
