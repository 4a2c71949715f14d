//! Where the nodes of a layered graph stand and how its edges run: layers from left to right, each
//! ordered so that few edges cross, edges around the nodes between their ends.

/// Height of a node.
pub(super) const NODE_HEIGHT: i32 = 44;

/// Half of the height that a node takes with its distance to the next, and the same of an edge that
/// passes.
const NODE_HALF: i32 = 30;
const EDGE_HALF: i32 = 9;

/// Passes over all layers, to put them in order and to move nodes towards their neighbours.
const PASSES: usize = 12;

/// Edges that pass layers are led around nodes as long as they have so many bends together.
const MOST_BENDS: usize = 1500;

/// The graph with a cell for each node, and one for each layer that an edge passes.
pub(super) struct Layout {
    /// Of each edge the cells it runs through.
    pub(super) routes: Vec<Vec<usize>>,
    /// The layer of each cell; those of the nodes come first.
    pub(super) layer_of: Vec<usize>,
    /// The middle of each cell.
    pub(super) middles: Vec<i32>,
    /// The height of all.
    pub(super) height: i32,
}

/// Lays out the graph in which node `i` waits for each of `parents[i]`, which are in layers before its
/// own.
pub(super) fn layout(layer_of: &[usize], parents: &[Vec<usize>]) -> Layout {
    let mut layer_of = layer_of.to_vec();
    let nodes = layer_of.len();
    let routes = routes(&mut layer_of, parents);
    let mut before = vec![Vec::new(); layer_of.len()];
    let mut after = before.clone();
    for pair in routes.iter().flat_map(|route| route.windows(2)) {
        after[pair[0]].push(pair[1]);
        before[pair[1]].push(pair[0]);
    }
    let mut rows = vec![Vec::new(); layer_of.iter().max().map_or(0, |last| last + 1)];
    for (cell, &layer) in layer_of.iter().enumerate() {
        rows[layer].push(cell);
    }
    let half = |cell| if cell < nodes { NODE_HALF } else { EDGE_HALF };
    let mut middles = vec![0; layer_of.len()];
    for row in &rows {
        place(row, half, &mut middles);
    }
    for pass in 0..PASSES {
        let forth = pass.is_multiple_of(2);
        for step in 0..rows.len() {
            let last = rows.len() - 1;
            let row = &mut rows[if forth { step } else { last - step }];
            for &cell in row.iter() {
                let neighbours = if forth { &before[cell] } else { &after[cell] };
                middles[cell] = mean(neighbours, &middles).unwrap_or(middles[cell]);
            }
            row.sort_by_key(|&cell| middles[cell]);
            place(row, half, &mut middles);
        }
    }
    let top = middles.iter().min().map_or(0, |top| top - NODE_HALF);
    let middles: Vec<_> = middles.iter().map(|middle| middle - top).collect();
    Layout {
        height: middles.iter().max().map_or(0, |lowest| lowest + NODE_HALF),
        routes,
        layer_of,
        middles,
    }
}

/// The cells of each edge; those between its ends are added to the layers that they are in.
fn routes(layer_of: &mut Vec<usize>, parents: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let edges = parents.iter().enumerate();
    let edges = edges.flat_map(|(to, parents)| parents.iter().map(move |&from| (from, to)));
    let bends: usize = edges
        .clone()
        .map(|(from, to)| layer_of[to] - layer_of[from] - 1)
        .sum();
    let routes = edges.map(|(from, to)| {
        let first = layer_of.len();
        if bends <= MOST_BENDS {
            layer_of.extend(layer_of[from] + 1..layer_of[to]);
        }
        let passed = first..layer_of.len();
        [from].into_iter().chain(passed).chain([to]).collect()
    });
    routes.collect()
}

fn mean(cells: &[usize], middles: &[i32]) -> Option<i32> {
    let count = i32::try_from(cells.len()).ok().filter(|count| *count > 0)?;
    Some(cells.iter().map(|&cell| middles[cell]).sum::<i32>() / count)
}

/// Moves the cells of a layer apart as little as is needed: what pushing them downwards gives, and
/// upwards, in the middle.
fn place(row: &[usize], half: impl Fn(usize) -> i32, middles: &mut [i32]) {
    let mut down: Vec<i32> = row.iter().map(|&cell| middles[cell]).collect();
    let mut up = down.clone();
    let distance = |at: usize| half(row[at]) + half(row[at + 1]);
    for at in 1..row.len() {
        down[at] = down[at].max(down[at - 1] + distance(at - 1));
    }
    for at in (1..row.len()).rev() {
        up[at - 1] = up[at - 1].min(up[at] - distance(at - 1));
    }
    for ((&cell, down), up) in row.iter().zip(down).zip(up) {
        middles[cell] = i32::midpoint(down, up);
    }
}
