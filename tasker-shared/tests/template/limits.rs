//! Templates, names and reports of mistakes that are too large.

use tasker_shared::template::{MAX_STEPS, Template};

use crate::{many_steps, mistakes, with_steps};

#[test]
fn the_largest_template_is_read_and_one_step_more_is_not() {
    let steps = many_steps(MAX_STEPS + 1, |_| String::new());
    let one_too_many = with_steps(&steps);
    let (largest, _) = one_too_many.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(
        Template::parse_yaml(largest).unwrap().steps.len(),
        MAX_STEPS
    );
    let found = mistakes(&one_too_many);
    assert!(
        found.ends_with("steps: 20001 steps; at most 20000 are accepted"),
        "{found}"
    );
}

#[test]
fn a_long_wrong_name_is_quoted_in_part() {
    let name = "x".repeat(100_000);
    let steps = format!("  - {{ name: a, handler: {name}-, depends_on: [{name}] }}\n");
    let found = mistakes(&with_steps(&steps));
    assert_eq!(found.lines().count(), 2, "{found}");
    assert!(found.len() < 1_000, "{}", found.len());
}

#[test]
fn a_flood_of_mistakes_is_cut_short() {
    let steps = "  - { nam: a }\n".repeat(100);
    let found = mistakes(&with_steps(&steps));
    assert_eq!(found.lines().count(), 51);
    assert!(
        found.ends_with("250 more mistakes are not listed"),
        "{found}"
    );
}
