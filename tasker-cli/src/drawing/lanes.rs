//! The lines beside the steps of a drawing: which step leads to which.
//!
//! Steps stand one below the other, each after all it waits for. An edge runs down in a lane until
//! it meets its step; lanes fork below a step with several dependents and join above one that waits
//! for several. Nothing here knows of states or colours.

use tasker_shared::dag::Dag;

/// One line of the gutter: two characters a lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// What stands left of the step's symbol, or the whole line where there is no step.
    pub(crate) before: String,
    /// The step whose symbol stands in this line.
    pub(crate) node: Option<usize>,
    /// What stands right of the step's symbol.
    pub(crate) after: String,
}

/// A gutter and the number of lanes it takes.
#[derive(Debug, Clone)]
pub(crate) struct Gutter {
    /// Its lines, from the top.
    pub(crate) lines: Vec<Line>,
    /// The most lanes beside each other.
    pub(crate) lanes: usize,
}

/// Draws the edges of a graph, its nodes in an order that follows each branch to its end.
pub(crate) fn gutter(dag: &Dag) -> Gutter {
    let order = branch_order(dag);
    let mut rank = vec![0; dag.len()];
    for (at, &node) in order.iter().enumerate() {
        rank[node] = at;
    }
    let mut drawing = Drawing::default();
    for node in order {
        let mut dependents = dag.dependents(node).to_vec();
        dependents.sort_by_key(|&dependent| rank[dependent]);
        drawing.add(node, &dependents);
    }
    Gutter {
        lines: drawing.lines,
        lanes: drawing.widest,
    }
}

/// Parents before dependents, and a branch to its end before the next one begins.
fn branch_order(dag: &Dag) -> Vec<usize> {
    let mut waiting_on: Vec<usize> = (0..dag.len()).map(|node| dag.parents(node).len()).collect();
    let mut ready = dag.roots();
    ready.reverse();
    let mut order = Vec::with_capacity(dag.len());
    while let Some(node) = ready.pop() {
        order.push(node);
        for &dependent in dag.dependents(node).iter().rev() {
            waiting_on[dependent] -= 1;
            if waiting_on[dependent] == 0 {
                ready.push(dependent);
            }
        }
    }
    order
}

/// The part of a connecting line that belongs to one lane: whether it goes on above and below.
#[derive(Debug, Clone, Copy)]
struct Joint {
    lane: usize,
    up: bool,
    down: bool,
}

/// A drawing on its way down: the node that each lane leads to.
#[derive(Debug, Default)]
struct Drawing {
    lanes: Vec<Option<usize>>,
    lines: Vec<Line>,
    widest: usize,
}

impl Drawing {
    fn add(&mut self, node: usize, dependents: &[usize]) {
        let lane = self.join_lanes_of(node);
        self.lanes[lane] = None;
        self.widest = self.widest.max(self.lanes.len());
        let before = (0..lane).flat_map(|at| [self.passing(at), ' ']);
        let after = (lane + 1..self.lanes.len()).flat_map(|at| [' ', self.passing(at)]);
        self.lines.push(Line {
            before: before.collect(),
            node: Some(node),
            after: after.collect::<String>().trim_end().to_owned(),
        });
        self.fork(lane, dependents);
        while self.lanes.last() == Some(&None) {
            self.lanes.pop();
        }
    }

    /// Brings all lanes that lead to `node` together and gives the one it stands in.
    fn join_lanes_of(&mut self, node: usize) -> usize {
        let incoming: Vec<usize> = (0..self.lanes.len())
            .filter(|&lane| self.lanes[lane] == Some(node))
            .collect();
        let Some((&lane, others)) = incoming.split_first() else {
            return self.free_lane(0);
        };
        if !others.is_empty() {
            for &other in others {
                self.lanes[other] = None;
            }
            let mut joints = vec![Joint {
                lane,
                up: true,
                down: true,
            }];
            joints.extend(others.iter().map(|&lane| Joint {
                lane,
                up: true,
                down: false,
            }));
            self.connect(&joints);
        }
        lane
    }

    /// Leads from the node in `lane` to its dependents, which come in the order of the drawing.
    fn fork(&mut self, lane: usize, dependents: &[usize]) {
        if let [only] = dependents {
            self.lanes[lane] = Some(*only);
            return;
        }
        // A dependent that a lane leads to already is reached by a line to that lane.
        let lane_of = |dependent| self.lanes.iter().position(|&to| to == Some(dependent));
        let known: Vec<usize> = dependents.iter().filter_map(|&d| lane_of(d)).collect();
        let mut new: Vec<usize> = dependents
            .iter()
            .copied()
            .filter(|&dependent| lane_of(dependent).is_none())
            .collect();
        // The branch that comes last goes straight down, so that no earlier one crosses it.
        let straight = new.pop();
        self.lanes[lane] = straight;
        let mut joints = vec![Joint {
            lane,
            up: true,
            down: straight.is_some(),
        }];
        joints.extend(known.into_iter().map(|lane| Joint {
            lane,
            up: true,
            down: true,
        }));
        for &dependent in new.iter().rev() {
            let lane = self.free_lane(lane + 1);
            self.lanes[lane] = Some(dependent);
            joints.push(Joint {
                lane,
                up: false,
                down: true,
            });
        }
        self.widest = self.widest.max(self.lanes.len());
        if joints.len() > 1 {
            self.connect(&joints);
        }
    }

    fn free_lane(&mut self, from: usize) -> usize {
        let free = (from..self.lanes.len()).find(|&lane| self.lanes[lane].is_none());
        free.unwrap_or_else(|| {
            let lane = self.lanes.len().max(from);
            self.lanes.resize(lane + 1, None);
            lane
        })
    }

    fn passing(&self, lane: usize) -> char {
        match self.lanes.get(lane) {
            Some(Some(_)) => '│',
            _ => ' ',
        }
    }

    /// Draws a line that connects the joints and passes behind all other lanes.
    fn connect(&mut self, joints: &[Joint]) {
        let first = joints.iter().map(|joint| joint.lane).min().unwrap_or(0);
        let last = joints.iter().map(|joint| joint.lane).max().unwrap_or(0);
        let mut before = String::new();
        for lane in 0..self.lanes.len().max(last + 1) {
            let (left, right) = (lane > first && lane <= last, lane >= first && lane < last);
            let glyph = match joints.iter().find(|joint| joint.lane == lane) {
                Some(joint) => corner(joint.up, joint.down, left, right),
                None if left && right && self.passing(lane) == ' ' => '─',
                None => self.passing(lane),
            };
            before.push(glyph);
            before.push(if right { '─' } else { ' ' });
        }
        self.lines.push(Line {
            before: before.trim_end().to_owned(),
            node: None,
            after: String::new(),
        });
    }
}

#[expect(clippy::fn_params_excessive_bools, reason = "a corner has four sides")]
const fn corner(up: bool, down: bool, left: bool, right: bool) -> char {
    match (up, down, left, right) {
        (true, true, true, true) => '┼',
        (true, true, false, true) => '├',
        (true, true, true, false) => '┤',
        (false, true, true, true) => '┬',
        (true, false, true, true) => '┴',
        (false, true, true, false) => '╮',
        (false, true, false, true) => '╭',
        (true, false, true, false) => '╯',
        (true, false, false, true) => '╰',
        (true, true, false, false) => '│',
        _ => '─',
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// The drawing of the graph in which node `i` waits for `parents[i]`, nodes as their letters.
    fn drawn(parents: &[&[usize]]) -> String {
        let dag = Dag::new(parents.iter().map(|parents| parents.to_vec()).collect()).unwrap();
        let mut text = String::new();
        for line in gutter(&dag).lines {
            text.push_str(&line.before);
            if let Some(node) = line.node {
                text.push(char::from(b'a' + u8::try_from(node).unwrap()));
                text.push_str(&line.after);
            }
            text.push('\n');
        }
        text
    }

    #[test]
    fn a_line_goes_straight_down() {
        assert_eq!(drawn(&[&[], &[0], &[1], &[2]]), "a\nb\nc\nd\n");
    }

    #[test]
    fn a_diamond_forks_and_joins() {
        assert_eq!(
            drawn(&[&[], &[0], &[0], &[1, 2]]),
            "\
a
├─╮
│ b
c │
├─╯
d
"
        );
    }

    #[test]
    fn a_tree_draws_each_branch_to_its_end() {
        assert_eq!(
            drawn(&[&[], &[0], &[0], &[1], &[1], &[2], &[2], &[3, 4, 5, 6]]),
            "\
a
├─╮
│ b
│ ├─╮
│ │ d
│ e │
c │ │
├─│─│─╮
│ │ │ f
g │ │ │
├─┴─┴─╯
h
"
        );
    }

    #[test]
    fn joins_of_two_and_three_are_told_apart() {
        assert_eq!(
            drawn(&[&[], &[0], &[0], &[1], &[1, 2], &[2], &[3, 4, 5]]),
            "\
a
├─╮
│ b
│ ├─╮
│ │ d
c │ │
├─┤ │
│ e │
f │ │
├─┴─╯
g
"
        );
    }

    #[test]
    fn separate_graphs_stand_below_each_other() {
        assert_eq!(drawn(&[&[], &[0], &[], &[2]]), "a\nb\nc\nd\n");
    }

    #[test]
    fn a_shortcut_past_a_step_is_a_lane_of_its_own() {
        assert_eq!(drawn(&[&[], &[0], &[0, 1]]), "a\n├─╮\n│ b\n├─╯\nc\n");
    }

    /// The parents of each of up to forty nodes, all before it.
    fn any_parents() -> impl Strategy<Value = Vec<Vec<usize>>> {
        vec(vec(any::<prop::sample::Index>(), 0..4), 1..40).prop_map(|nodes| {
            let parents = |(node, picks): (usize, Vec<prop::sample::Index>)| match node {
                0 => Vec::new(),
                _ => picks.into_iter().map(|pick| pick.index(node)).collect(),
            };
            nodes.into_iter().enumerate().map(parents).collect()
        })
    }

    proptest! {
        #[test]
        fn every_node_of_any_graph_stands_once_and_below_its_parents(parents in any_parents()) {
            let dag = Dag::new(parents).unwrap();
            let gutter = gutter(&dag);
            let order: Vec<usize> = gutter.lines.iter().filter_map(|line| line.node).collect();
            prop_assert_eq!(order.len(), dag.len());
            let place = |node| order.iter().position(|&drawn| drawn == node).unwrap();
            for node in 0..dag.len() {
                for &parent in dag.parents(node) {
                    prop_assert!(place(parent) < place(node));
                }
            }
            for line in &gutter.lines {
                let width = line.before.chars().count() + 1 + line.after.chars().count();
                prop_assert!(width <= gutter.lanes * 2);
            }
        }

        #[test]
        fn no_lane_of_any_graph_ends_or_begins_nowhere(parents in any_parents()) {
            let dag = Dag::new(parents).unwrap();
            let rows: Vec<Vec<char>> = gutter(&dag).lines.iter().map(|line| {
                let node = line.node.map(|_| 'o').into_iter();
                line.before.chars().chain(node).chain(line.after.chars()).collect()
            }).collect();
            let at = |row: Option<&Vec<char>>, column: usize| {
                row.and_then(|row| row.get(column)).copied().unwrap_or(' ')
            };
            for (number, row) in rows.iter().enumerate() {
                let above = number.checked_sub(1).and_then(|above| rows.get(above));
                let below = rows.get(number + 1);
                for (column, &glyph) in row.iter().enumerate() {
                    if "│├┤┼╯╰┴".contains(glyph) {
                        prop_assert!("│├┤┼╮╭┬o".contains(at(above, column)), "{glyph} {rows:?}");
                    }
                    if "│├┤┼╮╭┬".contains(glyph) {
                        prop_assert!("│├┤┼╯╰┴o".contains(at(below, column)), "{glyph} {rows:?}");
                    }
                }
            }
        }
    }
}
