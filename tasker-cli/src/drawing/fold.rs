//! Makes large graphs small enough to look at.
//!
//! Many steps that stand side by side between the same neighbours become one line that counts them,
//! and so does the middle of a long chain of steps in the same state. What needs attention, a
//! failure or a retry, stays a line of its own.

use std::collections::HashMap;

use tasker_shared::dag::Dag;
use tasker_shared::state::StepState;
use tasker_shared::tasks::StepDetail;

/// So many steps side by side are drawn one by one.
const MOST_SIBLINGS: usize = 5;
/// So many steps of a group that need attention are drawn one by one.
const MOST_NOTEWORTHY: usize = 5;
/// A shorter run in a chain is not worth a line that says what was left out.
const SHORTEST_RUN: usize = 4;

/// A line of the drawing: one step, or several that are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    /// Indexes of the steps, ascending; never empty.
    pub(crate) members: Vec<usize>,
}

/// A graph of such lines.
#[derive(Debug, Clone)]
pub(crate) struct Folded {
    /// The lines, in no order that matters.
    pub(crate) nodes: Vec<Node>,
    /// Which waits for which.
    pub(crate) dag: Dag,
}

/// Folds a graph; chains only as far as it has more than `most_lines` lines.
pub(crate) fn fold(dag: &Dag, steps: &[StepDetail], most_lines: usize) -> Option<Folded> {
    let folded = contract(dag, &siblings(dag, steps))?;
    if folded.nodes.len() <= most_lines {
        return Some(folded);
    }
    let groups = chains(&folded, steps);
    let merged = contract(&folded.dag, &groups)?;
    let nodes = merged.nodes.into_iter().map(|node| {
        let mut members: Vec<usize> = node
            .members
            .iter()
            .flat_map(|&inner| folded.nodes[inner].members.iter().copied())
            .collect();
        members.sort_unstable();
        Node { members }
    });
    Some(Folded {
        nodes: nodes.collect(),
        dag: merged.dag,
    })
}

/// A graph that is drawn as it is.
pub(crate) fn unfolded(dag: &Dag) -> Folded {
    Folded {
        nodes: (0..dag.len())
            .map(|step| Node {
                members: vec![step],
            })
            .collect(),
        dag: dag.clone(),
    }
}

/// Groups of steps that have the same parents and the same dependents.
fn siblings(dag: &Dag, steps: &[StepDetail]) -> Vec<Vec<usize>> {
    let mut alike: HashMap<(&[usize], &[usize]), Vec<usize>> = HashMap::new();
    for step in 0..dag.len() {
        let neighbours = (dag.parents(step), dag.dependents(step));
        alike.entry(neighbours).or_default().push(step);
    }
    let large = alike
        .into_values()
        .filter(|group| group.len() > MOST_SIBLINGS);
    large
        .map(|group| {
            let mut kept = 0;
            let quiet = |step: &usize| {
                let keep = is_noteworthy(steps[*step].state) && kept < MOST_NOTEWORTHY;
                kept += usize::from(keep);
                !keep
            };
            group.into_iter().filter(quiet).collect()
        })
        .collect()
}

/// The inner parts of runs of single steps, one after the other, in the same state.
fn chains(folded: &Folded, steps: &[StepDetail]) -> Vec<Vec<usize>> {
    let single_state = |node: usize| match folded.nodes[node].members.as_slice() {
        [step] => Some(steps[*step].state).filter(|state| !is_noteworthy(*state)),
        _ => None,
    };
    // The node that follows in the same run.
    let next = |node: usize| match folded.dag.dependents(node) {
        [next]
            if folded.dag.parents(*next).len() == 1
                && single_state(node).is_some()
                && single_state(node) == single_state(*next) =>
        {
            Some(*next)
        }
        _ => None,
    };
    let mut is_inside = vec![false; folded.dag.len()];
    let mut groups = Vec::new();
    for &node in folded.dag.order() {
        if is_inside[node] {
            continue;
        }
        let mut run = vec![node];
        while let Some(following) = run.last().and_then(|&last| next(last)) {
            is_inside[following] = true;
            run.push(following);
        }
        if run.len() >= SHORTEST_RUN {
            groups.push(run[1..run.len() - 1].to_vec());
        }
    }
    groups
}

const fn is_noteworthy(state: StepState) -> bool {
    matches!(state, StepState::Error | StepState::WaitingForRetry)
}

/// Makes each group one node. The groups are such that this makes no cycle.
fn contract(dag: &Dag, groups: &[Vec<usize>]) -> Option<Folded> {
    let mut node_of = vec![usize::MAX; dag.len()];
    let mut nodes: Vec<Node> = Vec::new();
    for group in groups.iter().filter(|group| group.len() > 1) {
        for &member in group {
            node_of[member] = nodes.len();
        }
        nodes.push(Node {
            members: group.clone(),
        });
    }
    for (step, node) in node_of.iter_mut().enumerate() {
        if *node == usize::MAX {
            *node = nodes.len();
            nodes.push(Node {
                members: vec![step],
            });
        }
    }
    // Nodes in the order of their first steps keep the order of the template in the drawing.
    let mut by_first: Vec<usize> = (0..nodes.len()).collect();
    by_first.sort_by_key(|&node| nodes[node].members[0]);
    let mut place = vec![0; nodes.len()];
    for (at, &node) in by_first.iter().enumerate() {
        place[node] = at;
    }
    let mut parents = vec![Vec::new(); nodes.len()];
    for step in 0..dag.len() {
        let to = place[node_of[step]];
        let from = dag.parents(step).iter().map(|&p| place[node_of[p]]);
        parents[to].extend(from.filter(|&from| from != to));
    }
    let nodes = by_first.into_iter().map(|node| nodes[node].clone());
    let dag = Dag::new(parents).ok()?;
    Some(Folded {
        nodes: nodes.collect(),
        dag,
    })
}
