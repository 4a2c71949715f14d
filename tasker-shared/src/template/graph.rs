//! Checks that the steps of a template have names of their own and wait for each other in a way
//! that can come to an end.

use std::collections::HashMap;

use super::Step;
use super::error::{Mistakes, Path};
use super::fields::did_you_mean;
use super::node::Place;
use crate::dag::{Cycle, Dag};

/// How many steps of a cycle are named; a cycle may have as many as the template.
const MAX_NAMED: usize = 12;

/// Where a step's name and dependencies stand in the document.
pub(super) struct StepPlaces {
    pub(super) name: Place,
    /// For each of the step's dependencies: its index in the document's list, and its place.
    pub(super) depends_on: Vec<(usize, Place)>,
}

/// Adds what is wrong with the names and dependencies of `steps`; `path` is that of the steps.
pub(super) fn check(
    steps: &[Step],
    places: &[StepPlaces],
    path: &Path<'_>,
    mistakes: &mut Mistakes,
) {
    let mut index_of = HashMap::with_capacity(steps.len());
    for (index, step) in steps
        .iter()
        .enumerate()
        .filter(|(_, step)| !step.name.is_empty())
    {
        let first = *index_of.entry(step.name.as_str()).or_insert(index);
        if first != index {
            let line = places[first].name.line;
            let message = format!("step `{}` is there already, on line {line}", step.name);
            mistakes.add(places[index].name, &path.index(index).key("name"), message);
        }
    }
    let parents = (0..steps.len())
        .map(|index| {
            let path = path.index(index);
            parents_of(index, steps, &places[index], &index_of, &path, mistakes)
        })
        .collect();
    if let Err(cycle) = Dag::new(parents) {
        report_cycle(&cycle, steps, places, path, mistakes);
    }
}

/// The indexes of the steps that a step waits for; those that make no sense are left out.
fn parents_of(
    index: usize,
    steps: &[Step],
    places: &StepPlaces,
    index_of: &HashMap<&str, usize>,
    path: &Path<'_>,
    mistakes: &mut Mistakes,
) -> Vec<usize> {
    let mut parents = Vec::with_capacity(steps[index].depends_on.len());
    let mut seen = HashMap::new();
    for (name, &(position, place)) in steps[index].depends_on.iter().zip(&places.depends_on) {
        let path = &path.key("depends_on");
        let path = &path.index(position);
        if seen.insert(name, position).is_some() {
            mistakes.add(place, path, format!("`{name}` is named twice"));
            continue;
        }
        match index_of.get(name.as_str()) {
            Some(&parent) if parent == index => {
                mistakes.add(place, path, format!("step `{name}` waits for itself"));
            }
            Some(&parent) => parents.push(parent),
            None => mistakes.add_with_hint(place, path, format!("unknown step `{name}`"), || {
                did_you_mean(name, steps.iter().map(|step| step.name.as_str()))
            }),
        }
    }
    parents
}

fn report_cycle(
    Cycle(cycle): &Cycle,
    steps: &[Step],
    places: &[StepPlaces],
    path: &Path<'_>,
    mistakes: &mut Mistakes,
) {
    let (first, second) = (cycle[0], cycle[1 % cycle.len()]);
    let mut names: Vec<&str> = cycle
        .iter()
        .take(MAX_NAMED)
        .map(|&index| steps[index].name.as_str())
        .collect();
    if cycle.len() > MAX_NAMED {
        names.push("…");
    }
    names.push(&steps[first].name);
    let position = steps[first]
        .depends_on
        .iter()
        .position(|name| *name == steps[second].name)
        .unwrap_or(0);
    let Some(&(position, place)) = places[first].depends_on.get(position) else {
        return;
    };
    let message = format!("the steps wait for each other: {}", names.join(" → "));
    let path = path.index(first);
    let path = path.key("depends_on");
    mistakes.add_with_hint(place, &path.index(position), message, || {
        Some("each waits for the next; take one of these dependencies out".to_owned())
    });
}
