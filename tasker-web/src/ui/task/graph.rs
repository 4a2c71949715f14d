//! A graph of steps as SVG: layers from left to right, what is alike folded into one node.

use std::fmt::Write;

use maud::{Markup, html};
use tasker_shared::dag::Dag;
use tasker_shared::state::StepState;
use tasker_shared::words::count;

use super::fold::{Folded, fold};
use super::layout::{Layout, NODE_HEIGHT, layout};
use crate::ui::parts::{in_words, number, step_sign};

/// Width of a character of a name, and of what is around the name in a node.
const CHARACTER: usize = 8;
const PADDING: usize = 28;

/// Characters of a name, at least and at most, that a node has room for.
const CHARACTERS: (usize, usize) = (14, 26);

/// Between two layers.
const GAP: usize = 56;

/// Around the graph.
const MARGIN: usize = 4;

/// Signs of states that a folded node shows.
const MOST_SIGNS: usize = 3;

/// What of the states of a folded node is told first, and colours it.
const URGENCY: [StepState; 9] = [
    StepState::Error,
    StepState::InProgress,
    StepState::WaitingForRetry,
    StepState::Enqueued,
    StepState::Pending,
    StepState::Cancelled,
    StepState::ResolvedManually,
    StepState::Skipped,
    StepState::Complete,
];

/// A step to be drawn.
#[derive(Debug, Clone)]
pub(crate) struct Node<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// The positions of the steps it depends on.
    pub(crate) depends_on: Vec<usize>,
    /// Where it stands; nothing for the step of a template.
    pub(crate) state: Option<StepState>,
    /// How many times it was started.
    pub(crate) attempt: i32,
    /// The address of its page.
    pub(crate) href: String,
}

/// Draws the steps.
pub(crate) fn graph(nodes: &[Node<'_>]) -> Markup {
    let parents = nodes.iter().map(|node| node.depends_on.clone()).collect();
    let Ok(dag) = Dag::new(parents) else {
        return html! { p.none { "These steps wait for each other and cannot be drawn." } };
    };
    let folded = fold(&dag);
    let layout = layout(&folded.layer_of, &folded.parents);
    let drawn: Vec<_> = folded
        .members
        .iter()
        .map(|members| Drawn::of(nodes, members))
        .collect();
    let longest = drawn.iter().map(|node| node.name.chars().count()).max();
    let characters = longest.unwrap_or(0).clamp(CHARACTERS.0, CHARACTERS.1);
    let width = characters * CHARACTER + PADDING;
    let layers = folded.layer_of.iter().max().map_or(0, |last| last + 1);
    let whole = (layers * (width + GAP)).saturating_sub(GAP) + 2 * MARGIN;
    let left = |layer: usize| layer * (width + GAP) + MARGIN;
    html! {
        div.scroll tabindex="0" role="region" aria-label="Graph of the steps" {
            svg.graph role="group" width=(whole) height=(layout.height)
                viewBox=(format!("0 0 {whole} {}", layout.height))
                aria-label=(describe(nodes, &folded)) {
                @for route in &layout.routes { path.edge d=(curve(route, left, width)) {} }
                @for (at, node) in drawn.iter().enumerate() {
                    (node.draw(left(folded.layer_of[at]), top(&layout, at), width, characters))
                }
            }
        }
        @if folded.members.len() < nodes.len() {
            p.note { (number(i64::try_from(nodes.len()).unwrap_or(i64::MAX))) " steps drawn as " (count(folded.members.len(), "node")) ": those alike are together." }
        }
    }
}

fn top(layout: &Layout, node: usize) -> i32 {
    layout.middles[node] - NODE_HEIGHT / 2
}

fn describe(nodes: &[Node<'_>], folded: &Folded) -> String {
    let layers = folded.layer_of.iter().max().map_or(0, |last| last + 1);
    format!(
        "{} in {}",
        count(nodes.len(), "step"),
        count(layers, "layer")
    )
}

/// From the right side of a node through the layers it passes to the left side of another.
fn curve(route: &[(usize, i32)], left: impl Fn(usize) -> usize, width: usize) -> String {
    let mut path = String::new();
    for pair in route.windows(2) {
        let [(from_layer, from), (to_layer, to)] = [pair[0], pair[1]];
        let (begin, end) = (left(from_layer) + width, left(to_layer));
        let bend = begin + (end - begin) / 2;
        let first = if path.is_empty() { "M" } else { "L" };
        // Writing to a string does not fail.
        let _ = write!(
            path,
            "{first}{begin} {from}C{bend} {from} {bend} {to} {end} {to}"
        );
    }
    path
}

/// A node with its texts.
struct Drawn<'a> {
    name: String,
    status: String,
    all: String,
    state: Option<StepState>,
    href: &'a str,
    is_folded: bool,
}

impl<'a> Drawn<'a> {
    fn of(nodes: &'a [Node<'a>], members: &[usize]) -> Self {
        let first = &nodes[members[0]];
        let [_, _, ..] = members else {
            let state = first.state.map_or_else(String::new, |state| {
                let words = format!("{} {}", step_sign(state), in_words(state.as_str()));
                let attempt = if first.attempt > 1 {
                    format!(", attempt {}", first.attempt)
                } else {
                    String::new()
                };
                words + &attempt
            });
            return Self {
                name: first.name.to_owned(),
                all: format!("{} {state}", first.name),
                status: state,
                state: first.state,
                href: &first.href,
                is_folded: false,
            };
        };
        let with = |state| {
            members
                .iter()
                .filter(move |&&node| nodes[node].state == Some(state))
        };
        let counts: Vec<_> = URGENCY
            .into_iter()
            .map(|state| (state, with(state).count()))
            .filter(|(_, count)| *count > 0)
            .collect();
        let signs: Vec<_> = counts
            .iter()
            .take(MOST_SIGNS)
            .map(|(state, count)| format!("{} {count}", step_sign(*state)))
            .collect();
        let words: Vec<_> = counts
            .iter()
            .map(|(state, count)| format!("{count} {}", in_words(state.as_str())))
            .collect();
        let state = counts.first().map(|(state, _)| *state);
        let shown = state
            .and_then(|state| with(state).next())
            .map_or(first, |&node| &nodes[node]);
        Self {
            name: format!("{}… ×{}", common_beginning(nodes, members), members.len()),
            status: signs.join("  "),
            all: format!(
                "{} steps, from {} to {}: {}",
                members.len(),
                first.name,
                nodes[members[members.len() - 1]].name,
                words.join(", ")
            ),
            state,
            href: &shown.href,
            is_folded: true,
        }
    }

    fn draw(&self, left: usize, top: i32, width: usize, characters: usize) -> Markup {
        let state = self.state.map_or("", StepState::as_str);
        let middle = left + width / 2;
        html! {
            a href=(self.href) class=(format!("node {state}")) aria-label=(self.all) {
                title { (self.all) }
                @if self.is_folded {
                    rect.behind x=(left + 4) y=(top + 4) width=(width) height=(NODE_HEIGHT) rx="7" {}
                }
                rect x=(left) y=(top) width=(width) height=(NODE_HEIGHT) rx="7" {}
                text.name x=(middle) y=(top + if self.status.is_empty() { 27 } else { 19 }) { (shortened(&self.name, characters)) }
                text x=(middle) y=(top + 36) { (self.status) }
            }
        }
    }
}

/// What the names of the steps have in common, or the first of them.
fn common_beginning<'a>(nodes: &[Node<'a>], members: &[usize]) -> &'a str {
    let first = nodes[members[0]].name;
    let common = members.iter().map(|&node| {
        let pairs = first.char_indices().zip(nodes[node].name.chars());
        pairs
            .take_while(|((_, one), other)| one == other)
            .last()
            .map_or(0, |((at, one), _)| at + one.len_utf8())
    });
    match common.min().unwrap_or(0) {
        0..3 => first,
        common => &first[..common],
    }
}

/// The text with its middle left out where it is too long: names differ at their ends.
fn shortened(text: &str, most: usize) -> String {
    let characters: Vec<char> = text.chars().collect();
    if characters.len() <= most {
        return text.to_owned();
    }
    let end = most / 2;
    let begin = most - end - 1;
    let begin = characters[..begin].iter();
    begin
        .chain(['…'].iter())
        .chain(&characters[characters.len() - end..])
        .collect()
}

#[cfg(test)]
mod tests;
