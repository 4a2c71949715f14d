//! Where the nodes of a layered graph stand and how its edges run: layers from left to right, each
//! ordered so that few edges cross, edges around the nodes between their ends.

/// Height of a node.
pub(super) const NODE_HEIGHT: i32 = 44;

/// Half of the height that a node takes with its distance to the next, and the same of an edge that
/// passes.
const NODE_HALF: i32 = 30;
const EDGE_HALF: i32 = 9;

/// Passes over all layers: to put them in order, and to move nodes towards their neighbours.
const PASSES: usize = 8;

/// Half the distance between two places of a layer: means of a few places are to differ.
const PLACE: i32 = 60;

/// Edges that pass layers are led around nodes as long as they have so many bends together.
const MOST_BENDS: usize = 1500;

/// Where everything stands.
pub(super) struct Layout {
    /// The middle of each node.
    pub(super) middles: Vec<i32>,
    /// Of each edge the layers it touches, and how high.
    pub(super) routes: Vec<Vec<(usize, i32)>>,
    /// The height of all.
    pub(super) height: i32,
}

/// The graph with a cell for each node, and one for each layer that an edge passes.
struct Cells {
    /// Cells with lower numbers are nodes.
    nodes: usize,
    layer_of: Vec<usize>,
    before: Vec<Vec<usize>>,
    after: Vec<Vec<usize>>,
    routes: Vec<Vec<usize>>,
}

/// Lays out the graph in which node `i` waits for each of `parents[i]`, which are in layers before its
/// own.
pub(super) fn layout(layer_of: &[usize], parents: &[Vec<usize>]) -> Layout {
    let cells = Cells::of(layer_of, parents);
    let rows = cells.in_order();
    let heights = cells.heights(&rows);
    let routes = cells.routes.iter().map(|route| {
        let points = route
            .iter()
            .map(|&cell| (cells.layer_of[cell], heights[cell]));
        points.collect()
    });
    Layout {
        middles: heights[..cells.nodes].to_vec(),
        routes: routes.collect(),
        height: heights.iter().max().map_or(0, |lowest| lowest + NODE_HALF),
    }
}

impl Cells {
    fn of(layer_of: &[usize], parents: &[Vec<usize>]) -> Self {
        let nodes = layer_of.len();
        let mut cells = Self {
            nodes,
            layer_of: layer_of.to_vec(),
            before: vec![Vec::new(); nodes],
            after: vec![Vec::new(); nodes],
            routes: Vec::new(),
        };
        let edges = || {
            let edges = parents.iter().enumerate();
            edges.flat_map(|(to, parents)| parents.iter().map(move |&from| (from, to)))
        };
        let bends: usize = edges()
            .map(|(from, to)| layer_of[to] - layer_of[from] - 1)
            .sum();
        for (from, to) in edges() {
            let passed = layer_of[from] + 1..layer_of[to];
            let mut route = vec![from];
            for layer in passed.filter(|_| bends <= MOST_BENDS) {
                route.push(cells.layer_of.len());
                cells.layer_of.push(layer);
                cells.before.push(Vec::new());
                cells.after.push(Vec::new());
            }
            route.push(to);
            for pair in route.windows(2) {
                cells.after[pair[0]].push(pair[1]);
                cells.before[pair[1]].push(pair[0]);
            }
            cells.routes.push(route);
        }
        cells
    }

    /// The cells of each layer from top to bottom: sorted by the middle of their neighbours, forth and
    /// back, and of all orders that come of it the one with the fewest crossings.
    fn in_order(&self) -> Vec<Vec<usize>> {
        let layers = self.layer_of.iter().max().map_or(0, |last| last + 1);
        let mut rows = vec![Vec::new(); layers];
        for (cell, &layer) in self.layer_of.iter().enumerate() {
            rows[layer].push(cell);
        }
        let mut places = vec![0; self.layer_of.len()];
        for row in &rows {
            place(row, &mut places);
        }
        let mut best = (self.crossings(&rows, &places), rows.clone());
        for pass in 0..PASSES {
            let forth = pass.is_multiple_of(2);
            let neighbours = if forth { &self.before } else { &self.after };
            for step in 0..layers {
                let row = &mut rows[if forth { step } else { layers - 1 - step }];
                row.sort_by_key(|&cell| middle(&neighbours[cell], &places, places[cell]));
                place(row, &mut places);
            }
            let crossings = self.crossings(&rows, &places);
            if crossings < best.0 {
                best = (crossings, rows.clone());
            }
        }
        best.1
    }

    /// How many pairs of edges that begin in one layer cross.
    fn crossings(&self, rows: &[Vec<usize>], places: &[i32]) -> usize {
        let of_row = |row: &Vec<usize>| {
            let ends = row.iter().map(|&cell| {
                let mut ends: Vec<_> = self.after[cell].iter().map(|&to| places[to]).collect();
                ends.sort_unstable();
                ends
            });
            let ends: Vec<i32> = ends.flatten().collect();
            let above = |(at, end)| ends[..at].iter().filter(|other| *other > end).count();
            ends.iter().enumerate().map(above).sum::<usize>()
        };
        rows.iter().map(of_row).sum()
    }

    /// How high each cell stands: near its neighbours, in the order of its layer.
    fn heights(&self, rows: &[Vec<usize>]) -> Vec<i32> {
        let half = |cell| {
            if cell < self.nodes {
                NODE_HALF
            } else {
                EDGE_HALF
            }
        };
        let mut heights = vec![0; self.layer_of.len()];
        for pass in 0..PASSES {
            let forth = pass.is_multiple_of(2);
            for step in 0..rows.len() {
                let row = &rows[if forth { step } else { rows.len() - 1 - step }];
                let wanted: Vec<i32> = row
                    .iter()
                    .map(|&cell| {
                        let neighbours = [&self.before[cell][..], &self.after[cell]].concat();
                        middle(&neighbours, &heights, heights[cell])
                    })
                    .collect();
                let distances: Vec<i32> = row
                    .windows(2)
                    .map(|pair| half(pair[0]) + half(pair[1]))
                    .collect();
                let spread = spread(&wanted, &distances);
                for (&cell, height) in row.iter().zip(spread) {
                    heights[cell] = height;
                }
            }
        }
        let top = heights.iter().min().map_or(0, |top| top - NODE_HALF);
        heights.iter().map(|height| height - top).collect()
    }
}

/// Notes the place of each cell in its layer, counted from the layer's middle.
fn place(row: &[usize], places: &mut [i32]) {
    let mut place = (1 - number(row.len())) * PLACE;
    for &cell in row {
        places[cell] = place;
        place += 2 * PLACE;
    }
}

/// The mean of the neighbours' values; `own` where there are none.
fn middle(neighbours: &[usize], values: &[i32], own: i32) -> i32 {
    if neighbours.is_empty() {
        return own;
    }
    let sum: i32 = neighbours.iter().map(|&cell| values[cell]).sum();
    sum / number(neighbours.len())
}

/// Heights near the wanted ones with the distances kept: what a pass downwards gives, and one upwards,
/// in the middle.
fn spread(wanted: &[i32], distances: &[i32]) -> Vec<i32> {
    let mut down = wanted.to_vec();
    let mut up = wanted.to_vec();
    for (at, distance) in distances.iter().enumerate() {
        down[at + 1] = down[at + 1].max(down[at] + distance);
    }
    for (at, distance) in distances.iter().enumerate().rev() {
        up[at] = up[at].min(up[at + 1] - distance);
    }
    down.iter()
        .zip(up)
        .map(|(down, up)| i32::midpoint(*down, up))
        .collect()
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
