//! What a template document may say, and what the error about a mistake in one says.

mod builtins;
mod cycles;
mod defaults;
mod editors;
mod limits;
mod mistakes;
mod search;

use std::fmt::Write;

use tasker_shared::template::Template;

const MINIMAL: &str = "\
namespace: shop
name: order
version: 1.0.0
steps:
  - name: only
    handler: builtin.noop
";

/// A template whose steps are the given lines of YAML.
fn with_steps(steps: &str) -> String {
    format!("namespace: shop\nname: order\nversion: 1.0.0\nsteps:\n{steps}")
}

/// `count` steps `s0`, `s1`, … that wait for what `depends_on` says.
fn many_steps(count: usize, depends_on: impl Fn(usize) -> String) -> String {
    let mut steps = String::new();
    for index in 0..count {
        let parents = depends_on(index);
        let step = format_args!("{{ name: s{index}, handler: h, depends_on: [{parents}] }}");
        writeln!(steps, "  - {step}").expect("writing to a string does not fail");
    }
    steps
}

/// The mistakes in a document, one line each.
fn mistakes(text: &str) -> String {
    Template::parse_yaml(text)
        .expect_err("a mistake")
        .to_string()
}
