//! Graphs of all shapes, as they are drawn.

use super::*;

fn nodes<'a>(steps: &[(&'a str, &[usize])]) -> Vec<Node<'a>> {
    let node = |(name, depends_on): &(&'a str, &[usize])| Node {
        name,
        depends_on: depends_on.to_vec(),
        state: Some(StepState::Pending),
        attempt: 0,
        href: format!("/of/{name}"),
    };
    steps.iter().map(node).collect()
}

fn many(names: &[String], parents: impl Fn(usize) -> Vec<usize>) -> Vec<Node<'_>> {
    let nodes = names.iter().enumerate().map(|(at, name)| Node {
        name,
        depends_on: parents(at),
        state: Some(StepState::Complete),
        attempt: 1,
        href: String::new(),
    });
    nodes.collect()
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|at| format!("step_{at}")).collect()
}

fn drawn(markup: &str) -> usize {
    markup.matches("<a href").count()
}

#[test]
fn a_diamond_is_drawn_with_its_links_and_edges() {
    let steps = nodes(&[("a", &[]), ("b", &[0]), ("c", &[0]), ("d", &[1, 2])]);
    let shown = graph(&steps).into_string();

    assert_eq!(drawn(&shown), 4);
    assert_eq!(shown.matches("class=\"edge\"").count(), 4);
    assert!(shown.contains("href=\"/of/d\"") && shown.contains("4 steps in 3 layers"));
    assert!(!shown.contains("drawn as"));
}

#[test]
fn nodes_of_a_layer_never_overlap() {
    let steps = nodes(&[
        ("a", &[]),
        ("b", &[]),
        ("c", &[0]),
        ("d", &[0, 1]),
        ("e", &[0]),
        ("f", &[2, 3]),
        ("g", &[0, 5]),
    ]);
    let dag = Dag::new(steps.iter().map(|step| step.depends_on.clone()).collect()).unwrap();
    let folded = fold(&dag);
    let layout = layout(&folded.layer_of, &folded.parents);

    for (one, middle) in layout.middles.iter().enumerate().take(steps.len()) {
        assert!(*middle >= NODE_HEIGHT / 2 && *middle <= layout.height - NODE_HEIGHT / 2);
        for other in 0..one {
            let is_apart = (middle - layout.middles[other]).abs() > NODE_HEIGHT;
            assert!(is_apart || folded.layer_of[one] != folded.layer_of[other]);
        }
    }
}

#[test]
fn edges_do_not_cross_where_they_need_not() {
    // As written, both edges cross.
    let steps = nodes(&[("a", &[]), ("b", &[]), ("c", &[1]), ("d", &[0])]);
    let dag = Dag::new(steps.iter().map(|step| step.depends_on.clone()).collect()).unwrap();
    let folded = fold(&dag);
    let middles = layout(&folded.layer_of, &folded.parents).middles;
    assert_eq!(middles[0] < middles[1], middles[3] < middles[2]);
}

#[test]
fn steps_that_fan_out_are_one_node_with_counts_by_state() {
    let names = names(102);
    let mut steps = many(&names, |at| match at {
        0 => vec![],
        101 => (1..101).collect(),
        _ => vec![0],
    });
    steps[7].state = Some(StepState::Error);
    steps[7].href = "/of/the/failed/one".to_owned();
    let shown = graph(&steps).into_string();

    assert_eq!(drawn(&shown), 3, "{shown}");
    assert!(
        shown.contains("step_… ×100") && shown.contains("✕ 1  ✓ 99"),
        "{shown}"
    );
    assert!(shown.contains("/of/the/failed/one") && shown.contains("node error"));
}

#[test]
fn chains_side_by_side_are_one_chain() {
    let names = names(3000);
    let steps = many(
        &names,
        |at| if at < 1000 { vec![] } else { vec![at - 1000] },
    );
    assert_eq!(drawn(&graph(&steps).into_string()), 3);
}

#[test]
fn a_large_graph_of_any_shape_is_drawn_small() {
    let names = names(10_000);
    let shapes: [&dyn Fn(usize) -> Vec<usize>; 4] = [
        &|at| at.checked_sub(1).into_iter().collect(),
        &|_| vec![],
        // Layers of 100, each step of which depends on five of the layer before.
        &|at| match at {
            0..100 => vec![],
            _ => (0..5)
                .map(|edge| (at / 100 - 1) * 100 + (at * 7 + edge * 13) % 100)
                .collect(),
        },
        // A few layers with edges from everywhere.
        &|at| match at {
            0..2000 => vec![],
            _ => (0..5)
                .map(|edge| (at * 31 + edge * 17) % (at / 2000 * 2000))
                .collect(),
        },
    ];
    for (shape, parents) in shapes.iter().enumerate() {
        let steps = many(&names, parents);
        let shown = graph(&steps).into_string();
        assert!((1..=150).contains(&drawn(&shown)), "shape {shape}");
        assert!(shown.len() < 200_000, "shape {shape}: {}", shown.len());
    }
}

#[test]
fn the_step_of_a_template_has_no_state() {
    let mut steps = nodes(&[("a", &[])]);
    steps[0].state = None;
    let shown = graph(&steps).into_string();
    assert!(
        shown.contains(">a</text>") && !shown.contains("pending"),
        "{shown}"
    );
}

#[test]
fn names_are_text_and_long_ones_lose_their_middle() {
    let long = format!("begin_{}_end", "x".repeat(100));
    let steps = nodes(&[("<script>alert(1)</script>", &[]), (&long, &[])]);
    let shown = graph(&steps).into_string();
    assert!(!shown.contains("<script"), "{shown}");
    assert!(shown.contains("begin_xxxxxx…xxxxxxxxx_end"), "{shown}");
}
