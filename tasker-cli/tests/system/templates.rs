//! The workflows of these tests: the graphs of `examples/`, two that are large, and variations in
//! which steps take time.

use std::fmt::Write;

/// Four steps, one after the other.
pub(crate) const LINEAR: &str = include_str!("../../../examples/graphs/linear.yaml");
/// Two branches that meet again.
pub(crate) const DIAMOND: &str = include_str!("../../../examples/graphs/diamond.yaml");
/// Eight steps that only branch.
pub(crate) const TREE: &str = include_str!("../../../examples/graphs/tree.yaml");
/// Seven steps with joins of two and of three.
pub(crate) const MIXED: &str = include_str!("../../../examples/graphs/mixed.yaml");

/// Steps of [`wide`] side by side, and of [`deep`] in a row.
const MANY: usize = 100;

/// One step, then a hundred side by side, then one that waits for all of them.
pub(crate) fn wide() -> String {
    let mut template = head("wide");
    line(&mut template, "start", "");
    let middle: Vec<String> = (1..=MANY)
        .map(|number| format!("middle_{number}"))
        .collect();
    for name in &middle {
        line(&mut template, name, "start");
    }
    line(&mut template, "end", &middle.join(", "));
    template
}

/// A hundred steps in a row.
pub(crate) fn deep() -> String {
    let mut template = head("deep");
    line(&mut template, "step_1", "");
    for number in 2..=MANY {
        let earlier = format!("step_{}", number - 1);
        line(&mut template, &format!("step_{number}"), &earlier);
    }
    template
}

/// The mixed graph with steps that take so long.
pub(crate) fn mixed_of_sleeps(milliseconds: u32) -> String {
    let sleep = format!("builtin.sleep, input: {{ ms: {milliseconds} }}");
    MIXED.replace("builtin.noop", &sleep)
}

/// One step that sleeps so long.
pub(crate) fn sleep(milliseconds: u32) -> String {
    let mut template = head("sleep");
    writeln!(
        template,
        "  - {{ name: sleep, handler: builtin.sleep, input: {{ ms: {milliseconds} }}, \
         timeout_ms: 3600000 }}"
    )
    .unwrap();
    template
}

fn head(name: &str) -> String {
    format!("namespace: graphs\nname: {name}\nversion: 1.0.0\nsteps:\n")
}

fn line(template: &mut String, name: &str, depends_on: &str) {
    writeln!(
        template,
        "  - {{ name: {name}, handler: builtin.noop, depends_on: [{depends_on}] }}"
    )
    .unwrap();
}
