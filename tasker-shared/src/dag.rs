//! Directed acyclic graphs over the indexes `0..n`: order, cycles, roots, dependents and layers.
//!
//! The nodes are whatever the caller keeps in a list; an edge leads from a node to one that waits
//! for it. Everything is linear in nodes and edges and without recursion, because a graph may be
//! twenty thousand nodes deep.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A graph that is known to have no cycle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dag {
    parents: Vec<Vec<usize>>,
    dependents: Vec<Vec<usize>>,
    order: Vec<usize>,
}

/// Nodes that wait for each other: each for the next, and the last one for the first.
///
/// Never empty, without repetition, and the smallest index comes first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cycle(pub Vec<usize>);

impl Dag {
    /// Builds the graph in which node `i` waits for each of `parents[i]`.
    ///
    /// An edge that is given twice counts once. Panics when a parent is not below `parents.len()`.
    pub fn new(mut parents: Vec<Vec<usize>>) -> Result<Self, Cycle> {
        let mut dependents = vec![Vec::new(); parents.len()];
        for (node, waits_for) in parents.iter_mut().enumerate() {
            waits_for.sort_unstable();
            waits_for.dedup();
            for &parent in waits_for.iter() {
                dependents[parent].push(node);
            }
        }
        let order = topological_order(&parents, &dependents);
        if order.len() < parents.len() {
            return Err(find_cycle(&parents, &order));
        }
        Ok(Self {
            parents,
            dependents,
            order,
        })
    }

    /// The number of nodes.
    pub fn len(&self) -> usize {
        self.parents.len()
    }

    /// Whether the graph has no nodes at all.
    pub fn is_empty(&self) -> bool {
        self.parents.is_empty()
    }

    /// The nodes that `node` waits for, ascending.
    pub fn parents(&self, node: usize) -> &[usize] {
        &self.parents[node]
    }

    /// The nodes that wait for `node`, ascending.
    pub fn dependents(&self, node: usize) -> &[usize] {
        &self.dependents[node]
    }

    /// All nodes, parents before their dependents; the smallest index first where there is a choice.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// The nodes that wait for nothing, ascending.
    pub fn roots(&self) -> Vec<usize> {
        (0..self.len())
            .filter(|&node| self.parents[node].is_empty())
            .collect()
    }

    /// The nodes by the length of the longest path that leads to them; ascending inside a layer.
    ///
    /// Roots are the first layer. No two nodes of a layer depend on each other, so a drawing can
    /// put each layer in a line.
    pub fn layers(&self) -> Vec<Vec<usize>> {
        let mut layer_of = vec![0; self.len()];
        for &node in &self.order {
            let above = self.parents[node]
                .iter()
                .map(|&parent| layer_of[parent] + 1)
                .max();
            layer_of[node] = above.unwrap_or(0);
        }
        let mut layers = vec![Vec::new(); layer_of.iter().max().map_or(0, |last| last + 1)];
        for (node, layer) in layer_of.into_iter().enumerate() {
            layers[layer].push(node);
        }
        layers
    }
}

/// The nodes that can be ordered; the rest is on a cycle or behind one.
fn topological_order(parents: &[Vec<usize>], dependents: &[Vec<usize>]) -> Vec<usize> {
    let mut waiting_on: Vec<usize> = parents.iter().map(Vec::len).collect();
    let mut ready: BinaryHeap<Reverse<usize>> = (0..parents.len())
        .filter(|&node| waiting_on[node] == 0)
        .map(Reverse)
        .collect();
    let mut order = Vec::with_capacity(parents.len());
    while let Some(Reverse(node)) = ready.pop() {
        order.push(node);
        for &dependent in &dependents[node] {
            waiting_on[dependent] -= 1;
            if waiting_on[dependent] == 0 {
                ready.push(Reverse(dependent));
            }
        }
    }
    order
}

/// A cycle among the nodes that are not in `order`, of which there must be at least one.
///
/// Each of them has a parent that is not in `order` either, so walking from parent to parent must
/// come back to a node it has seen.
fn find_cycle(parents: &[Vec<usize>], order: &[usize]) -> Cycle {
    let mut ordered = vec![false; parents.len()];
    for &node in order {
        ordered[node] = true;
    }
    let mut path = Vec::new();
    let mut position = vec![None; parents.len()];
    let mut next = ordered.iter().position(|done| !done);
    while let Some(node) = next {
        if let Some(start) = position[node] {
            path.drain(..start);
            break;
        }
        position[node] = Some(path.len());
        path.push(node);
        next = parents[node]
            .iter()
            .copied()
            .find(|&parent| !ordered[parent]);
    }
    let smallest = path
        .iter()
        .enumerate()
        .min_by_key(|&(_, node)| node)
        .map_or(0, |(at, _)| at);
    path.rotate_left(smallest);
    Cycle(path)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Parents of up to 40 nodes with every edge pointing backwards, under a shuffled numbering.
    fn acyclic() -> impl Strategy<Value = Vec<Vec<usize>>> {
        (0usize..40)
            .prop_flat_map(|n| {
                let numbering = Just((0..n).collect::<Vec<_>>()).prop_shuffle();
                (vec(vec(any::<prop::sample::Index>(), 0..4), n), numbering)
            })
            .prop_map(|(choices, numbering)| {
                let mut parents = vec![Vec::new(); numbering.len()];
                for (node, chosen) in choices.into_iter().enumerate().skip(1) {
                    parents[numbering[node]] = chosen
                        .into_iter()
                        .map(|choice| numbering[choice.index(node)])
                        .collect();
                }
                parents
            })
    }

    /// Parents of up to 12 nodes with edges anywhere.
    fn any_graph() -> impl Strategy<Value = Vec<Vec<usize>>> {
        (1usize..12).prop_flat_map(|n| vec(vec(0..n, 0..3), n))
    }

    fn position_in(order: &[usize]) -> Vec<usize> {
        let mut position = vec![0; order.len()];
        for (at, &node) in order.iter().enumerate() {
            position[node] = at;
        }
        position
    }

    proptest! {
        #[test]
        fn the_order_holds_every_node_once_and_parents_first(parents in acyclic()) {
            let dag = Dag::new(parents.clone()).unwrap();
            let mut nodes = dag.order().to_vec();
            nodes.sort_unstable();
            prop_assert_eq!(nodes, (0..parents.len()).collect::<Vec<_>>());
            let position = position_in(dag.order());
            for (node, waits_for) in parents.iter().enumerate() {
                for &parent in waits_for {
                    prop_assert!(position[parent] < position[node]);
                }
            }
        }

        #[test]
        fn dependents_are_the_parents_read_backwards(parents in acyclic()) {
            let dag = Dag::new(parents.clone()).unwrap();
            for node in 0..dag.len() {
                let expected: Vec<usize> =
                    (0..dag.len()).filter(|&other| parents[other].contains(&node)).collect();
                prop_assert_eq!(dag.dependents(node), expected);
            }
        }

        #[test]
        fn a_node_is_in_the_layer_right_below_its_lowest_parent(parents in acyclic()) {
            let dag = Dag::new(parents.clone()).unwrap();
            let layers = dag.layers();
            let layer_of = |node| layers.iter().position(|layer| layer.contains(&node)).unwrap();
            prop_assert_eq!(layers.iter().map(Vec::len).sum::<usize>(), parents.len());
            for (node, waits_for) in parents.iter().enumerate() {
                let expected = waits_for.iter().map(|&parent| layer_of(parent) + 1).max();
                prop_assert_eq!(layer_of(node), expected.unwrap_or(0));
            }
            prop_assert_eq!(layers.first().cloned().unwrap_or_default(), dag.roots());
        }

        #[test]
        fn a_graph_is_refused_exactly_when_it_has_a_cycle(parents in any_graph()) {
            match Dag::new(parents.clone()) {
                Ok(dag) => prop_assert_eq!(dag.order().len(), parents.len()),
                Err(Cycle(path)) => {
                    prop_assert!(!path.is_empty());
                    for (at, &node) in path.iter().enumerate() {
                        prop_assert!(parents[node].contains(&path[(at + 1) % path.len()]));
                    }
                    let mut once = path.clone();
                    once.sort_unstable();
                    once.dedup();
                    prop_assert_eq!(once.len(), path.len());
                    prop_assert_eq!(once.first(), path.first());
                }
            }
        }
    }

    #[test]
    fn a_node_that_waits_for_itself_is_a_cycle_of_one() {
        assert_eq!(Dag::new(vec![vec![], vec![1]]), Err(Cycle(vec![1])));
    }

    #[test]
    fn nodes_behind_a_cycle_are_not_part_of_its_path() {
        assert_eq!(
            Dag::new(vec![vec![1], vec![2], vec![1]]),
            Err(Cycle(vec![1, 2]))
        );
    }

    #[test]
    fn a_chain_of_twenty_thousand_nodes_has_as_many_layers() {
        let parents = (0..20_000).map(|node: usize| node.checked_sub(1).into_iter().collect());
        assert_eq!(Dag::new(parents.collect()).unwrap().layers().len(), 20_000);
    }

    #[test]
    fn an_empty_graph_has_no_layers() {
        assert!(Dag::new(vec![]).unwrap().layers().is_empty());
    }
}
