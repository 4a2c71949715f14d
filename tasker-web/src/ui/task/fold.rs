//! Which nodes of a large graph are drawn as one.

use std::collections::HashMap;
use std::hash::Hash;

use tasker_shared::dag::Dag;

/// Most nodes, edges and layers that are drawn.
const MOST_NODES: usize = 150;
const MOST_EDGES: usize = 600;
const MOST_LAYERS: usize = 40;

/// So many nodes with the same parents and dependents are one, also where there is room.
const ALIKE: usize = 6;

/// A graph whose nodes are groups of another one's.
pub(super) struct Folded {
    /// The nodes of each group; groups of a layer have no edges between them.
    pub(super) members: Vec<Vec<usize>>,
    /// The groups that each group waits for, all in layers before its own.
    pub(super) parents: Vec<Vec<usize>>,
    /// The layer of each group.
    pub(super) layer_of: Vec<usize>,
}

/// Groups the nodes so that what is left can be drawn: those that are alike; if that is not enough, those
/// of a layer; in a deep graph, those of layers next to each other.
pub(super) fn fold(dag: &Dag) -> Folded {
    let layers = dag.layers();
    let depth = layers.len().div_ceil(MOST_LAYERS).max(1);
    let mut layer_of = vec![0; dag.len()];
    for (layer, nodes) in layers.iter().enumerate() {
        for &node in nodes {
            layer_of[node] = layer / depth;
        }
    }
    let folded = Folded::of(dag, &layer_of, &alike(dag));
    let edges: usize = folded.parents.iter().map(Vec::len).sum();
    if depth == 1 && folded.members.len() <= MOST_NODES && edges <= MOST_EDGES {
        return folded;
    }
    Folded::of(dag, &layer_of, &layer_of)
}

impl Folded {
    /// The graph of these groups, each given as the number that all of its nodes have.
    fn of(dag: &Dag, layer_of: &[usize], groups: &[usize]) -> Self {
        let count = groups.iter().max().map_or(0, |last| last + 1);
        let mut folded = Self {
            members: vec![Vec::new(); count],
            parents: vec![Vec::new(); count],
            layer_of: vec![0; count],
        };
        for (node, &group) in groups.iter().enumerate() {
            folded.members[group].push(node);
            folded.layer_of[group] = layer_of[node];
            let parents = dag.parents(node).iter().map(|&parent| groups[parent]);
            folded.parents[group].extend(parents.filter(|&parent| parent != group));
        }
        for parents in &mut folded.parents {
            parents.sort_unstable();
            parents.dedup();
        }
        folded
    }
}

/// Groups of nodes with the same parents and dependents, where these are many.
fn alike(dag: &Dag) -> Vec<usize> {
    let groups = numbered((0..dag.len()).map(|node| (dag.parents(node), dag.dependents(node))));
    let mut sizes = vec![0; dag.len()];
    for &group in &groups {
        sizes[group] += 1;
    }
    let nodes = groups.iter().enumerate();
    numbered(nodes.map(|(node, &group)| (group, (sizes[group] < ALIKE).then_some(node))))
}

/// Numbers from 0 on, the same for keys that are the same.
fn numbered<K: Hash + Eq>(keys: impl Iterator<Item = K>) -> Vec<usize> {
    let mut numbers = HashMap::new();
    let number = |key| {
        let next = numbers.len();
        *numbers.entry(key).or_insert(next)
    };
    keys.map(number).collect()
}
