//! Steps that wait for themselves.

use crate::{many_steps, mistakes, with_steps};

#[test]
fn a_cycle_is_named_with_its_path() {
    let document = with_steps(
        "  - { name: start, handler: h }
  - { name: a, handler: h, depends_on: [start, c] }
  - { name: b, handler: h, depends_on: [a] }
  - { name: c, handler: h, depends_on: [b] }
  - { name: end, handler: h, depends_on: [c] }
",
    );
    assert_eq!(
        mistakes(&document),
        "line 6, column 48: steps[1].depends_on[1]: the steps wait for each other: a → c → b → a \
         (each waits for the next; take one of these dependencies out)"
    );
}

#[test]
fn a_cycle_through_a_large_template_is_named_in_part() {
    let steps = many_steps(1_000, |index| format!("s{}", (index + 1) % 1_000));
    let found = mistakes(&with_steps(&steps));
    assert!(
        found.contains("s0 → s1 → s2") && found.contains("… → s0"),
        "{found}"
    );
    assert!(found.len() < 400, "{found}");
}
