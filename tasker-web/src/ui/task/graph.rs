//! A graph of steps as SVG: layers from left to right, what is alike folded into one node.

use tasker_shared::dag::Dag;
use tasker_shared::state::StepState;
use tasker_shared::words::count;

use super::fold::fold;
use super::layout::{NODE_HEIGHT, layout};
use crate::ui::prelude::*;

/// Width of a character of a name, and of what is around the name in a node.
const CHARACTER: usize = 8;
const PADDING: usize = 28;

/// Characters of a name, at least and at most, that a node has room for.
const CHARACTERS: (usize, usize) = (14, 26);

/// Between two layers, and around the graph.
const GAP: usize = 56;
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

/// What is drawn of a step, or of several.
struct Drawn<'a> {
    name: String,
    status: String,
    /// What is read aloud.
    all: String,
    /// The most urgent of the steps.
    shown: &'a Node<'a>,
    is_folded: bool,
}

/// Draws the steps.
pub(crate) fn graph(nodes: &[Node<'_>]) -> Markup {
    let parents = nodes.iter().map(|node| node.depends_on.clone()).collect();
    let Ok(dag) = Dag::new(parents) else {
        return html! { p.none { "These steps wait for each other and cannot be drawn." } };
    };
    let folded = fold(&dag);
    let layout = layout(&folded.layer_of, &folded.parents);
    let members = folded.members.iter();
    let drawn = members.map(|members| members.iter().map(|&node| &nodes[node]).collect::<Vec<_>>());
    let drawn: Vec<_> = drawn.map(|members| Drawn::of(&members)).collect();
    let longest = drawn.iter().map(|node| node.name.chars().count()).max();
    let characters = longest.unwrap_or(0).clamp(CHARACTERS.0, CHARACTERS.1);
    let width = characters * CHARACTER + PADDING;
    let layers = folded.layer_of.iter().max().map_or(0, |last| last + 1);
    let whole = (layers * (width + GAP)).saturating_sub(GAP) + 2 * MARGIN;
    let left = |cell: usize| layout.layer_of[cell] * (width + GAP) + MARGIN;
    html! {
        div.scroll tabindex="0" role="region" aria-label="Graph of the steps" {
            svg.graph role="group" width=(whole) height=(layout.height)
                viewBox=(format!("0 0 {whole} {}", layout.height))
                aria-label=(format!("{} in {}", count(nodes.len(), "step"), count(layers, "layer"))) {
                @for edge in layout.routes.iter().flat_map(|route| route.windows(2)) {
                    @let [(begin, from), (end, to)] = [(left(edge[0]) + width, layout.middles[edge[0]]), (left(edge[1]), layout.middles[edge[1]])];
                    @let bend = usize::midpoint(begin, end);
                    path.edge d=(format!("M{begin} {from}C{bend} {from} {bend} {to} {end} {to}")) {}
                    // Through a layer that an edge passes it runs straight.
                    @if edge[1] >= drawn.len() { path.edge d=(format!("M{end} {to}h{width}")) {} }
                }
                @for (cell, node) in drawn.iter().enumerate() {
                    (node.draw(left(cell), layout.middles[cell] - NODE_HEIGHT / 2, width, characters))
                }
            }
        }
        @if drawn.len() < nodes.len() {
            p.note { (number(nodes.len())) " steps drawn as " (count(drawn.len(), "node")) ": those alike are together." }
        }
    }
}

impl<'a> Drawn<'a> {
    fn of(members: &[&'a Node<'a>]) -> Self {
        let (first, last) = (members[0], members[members.len() - 1]);
        if members.len() == 1 {
            let state = first.state.map_or_else(String::new, |state| {
                format!("{} {}", sign(state.as_str()), in_words(state.as_str()))
            });
            let attempt = match first.attempt {
                ..=1 => String::new(),
                attempt => format!(", attempt {attempt}"),
            };
            let status = state + &attempt;
            return Self {
                name: first.name.to_owned(),
                all: format!("{} {status}", first.name),
                status,
                shown: first,
                is_folded: false,
            };
        }
        let mut shown = first;
        let (mut signs, mut words) = (Vec::new(), Vec::new());
        for state in URGENCY {
            let mut alike = members.iter().filter(|node| node.state == Some(state));
            if let Some(node) = alike.next() {
                if signs.is_empty() {
                    shown = node;
                }
                let count = alike.count() + 1;
                signs.push(format!("{} {count}", sign(state.as_str())));
                words.push(format!("{count} {}", in_words(state.as_str())));
            }
        }
        signs.truncate(MOST_SIGNS);
        let (from, to) = (first.name, last.name);
        let (count, words) = (members.len(), words.join(", "));
        Self {
            name: format!("{}… ×{count}", common_beginning(members)),
            status: signs.join("  "),
            all: format!("{count} steps, from {from} to {to}: {words}"),
            shown,
            is_folded: true,
        }
    }

    fn draw(&self, left: usize, top: i32, width: usize, characters: usize) -> Markup {
        let state = self.shown.state.map_or("", StepState::as_str);
        let middle = left + width / 2;
        html! {
            a href=(self.shown.href) class=(format!("node {state}")) aria-label=(self.all) {
                title { (self.all) }
                @if self.is_folded {
                    rect.behind x=(left + 4) y=(top + 4) width=(width) height=(NODE_HEIGHT) rx="7" {}
                }
                rect x=(left) y=(top) width=(width) height=(NODE_HEIGHT) rx="7" {}
                text.name x=(middle) y=(top + if self.status.is_empty() { 27 } else { 19 }) { (without_middle(&self.name, characters)) }
                text x=(middle) y=(top + 36) { (self.status) }
            }
        }
    }
}

/// What the names of the steps have in common, or the first of them.
fn common_beginning<'a>(members: &[&Node<'a>]) -> &'a str {
    let first = members[0].name;
    let common = members.iter().map(|node| {
        let pairs = first.chars().zip(node.name.chars());
        let same = pairs.take_while(|(one, other)| one == other);
        same.map(|(one, _)| one.len_utf8()).sum::<usize>()
    });
    match common.min().unwrap_or(0) {
        0..3 => first,
        common => &first[..common],
    }
}

/// The text with its middle left out where it is too long: names differ at their ends.
fn without_middle(text: &str, most: usize) -> String {
    let characters: Vec<char> = text.chars().collect();
    if characters.len() <= most {
        return text.to_owned();
    }
    let end = &characters[characters.len() - most / 2..];
    let begin = &characters[..most - end.len() - 1];
    begin.iter().chain(&['…']).chain(end).collect()
}

#[cfg(test)]
mod tests;
