//! Random graphs, tasks and calls of several actors, against a model in plain Rust: after each call
//! the database holds what the model holds, the call answered what the model says, and the doctor
//! finds nothing. In the end every task ends. And histories that come to the same, whether steps go
//! through the queue or are handed on.

#![allow(clippy::unwrap_used)]

mod both_ways;
mod call;
mod causes;
mod expected;
mod held;
mod play;
mod rows;
#[path = "../support/mod.rs"]
mod support;

use std::cell::{Cell, RefCell};

use both_ways::{Manner, Way, happen, histories};
use call::calls;
use expected::Graph;
use held::empty_but_for;
use play::Play;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use support::World;

/// Cases of one run, unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 60;
/// Histories that are played both ways in one run, unless it says otherwise.
const HISTORIES: u32 = 40;
/// Calls in one case before it is drained.
const CALLS: usize = 80;

fn graphs() -> impl Strategy<Value = Graph> {
    prop::collection::vec(any::<u16>(), 1..=12).prop_map(|masks| {
        let steps = masks.into_iter().enumerate();
        steps
            .map(|(number, mask)| (0..number).filter(|n| mask >> n & 1 == 1).collect())
            .collect()
    })
}

fn runner(cases: u32) -> TestRunner {
    let cases = std::env::var("PROPTEST_CASES").map_or(cases, |cases| cases.parse().unwrap());
    TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 400,
        ..ProptestConfig::default()
    })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn the_engine_does_what_the_model_does() {
    let runtime = runtime();
    let world = RefCell::new(runtime.block_on(World::new()));
    let strategy = (graphs(), prop::collection::vec(calls(), CALLS));

    runner(CASES)
        .run(&strategy, |(graph, calls)| {
            let mut world = world.borrow_mut();
            runtime.block_on(async {
                let mut play = Play::start(&mut world, graph).await;
                for call in &calls {
                    play.make(call).await;
                }
                play.drain().await;
            });
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn a_history_comes_to_the_same_with_continuation_and_without() {
    let runtime = runtime();
    let world = RefCell::new(runtime.block_on(World::new()));
    let (handed_on, beside) = (Cell::new(0), Cell::new(0));
    let strategy = (histories(), any::<u64>());

    runner(HISTORIES)
        .run(&strategy, |(history, seed)| {
            let mut world = world.borrow_mut();
            runtime.block_on(async {
                let template = empty_but_for(&mut world, &history.graph).await;
                let queued = Manner::of(Way::Queue, seed);
                let queued = happen(&mut world, &template, &history, queued).await;
                let template = empty_but_for(&mut world, &history.graph).await;
                let manner = Manner::of(Way::Continuation, seed);
                let continued = happen(&mut world, &template, &history, manner).await;
                assert_eq!(queued.lines, continued.lines);
                let ways = [
                    (Way::Queue, 0),
                    (Way::Continuation, 0),
                    (Way::Continuation, 8),
                ];
                for (way, most_room) in ways {
                    let template = empty_but_for(&mut world, &history.graph).await;
                    let manner = Manner {
                        enqueues: true,
                        most_room,
                        ..Manner::of(way, seed)
                    };
                    let enqueued = happen(&mut world, &template, &history, manner).await;
                    assert_eq!(queued.lines, enqueued.lines);
                    if most_room > 0 {
                        beside.set(beside.get() + enqueued.handed_on);
                    }
                }
                assert_eq!(queued.handed_on, 0);
                handed_on.set(handed_on.get() + continued.handed_on);
            });
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{failure}"));

    assert!(handed_on.get() > 0, "nothing was handed on");
    let (handed_on, beside) = (handed_on.get(), beside.get());
    assert!(
        beside > handed_on,
        "{beside} with room, {handed_on} without"
    );
}

#[test]
fn a_path_for_one_leaves_the_rows_that_the_path_for_many_leaves() {
    let runtime = runtime();
    let world = RefCell::new(runtime.block_on(World::new()));
    let strategy = (
        histories(),
        any::<u64>(),
        any::<bool>(),
        any::<bool>(),
        0..4_usize,
    );

    runner(HISTORIES)
        .run(
            &strategy,
            |(mut history, seed, continues, enqueues, most_room)| {
                // What happens to several at once is in the order of their UUIDs, which chance decides.
                history.tasks.truncate(1);
                let mut world = world.borrow_mut();
                let way = if continues {
                    Way::Continuation
                } else {
                    Way::Queue
                };
                runtime.block_on(async {
                    let mut ends = Vec::new();
                    for (path, announces) in [("off", false), ("on", false), ("on", true)] {
                        let template = empty_but_for(&mut world, &history.graph).await;
                        world.run(format!("set tasker.path_for_one = {path}")).await;
                        // A receipt draws lots for places of those that have waited longest.
                        world.run("select setseed(0.5)").await;
                        let manner = Manner {
                            enqueues,
                            announces,
                            most_room,
                            ..Manner::of(way, seed)
                        };
                        ends.push(happen(&mut world, &template, &history, manner).await.rows);
                    }
                    for end in &ends[1..] {
                        let differs = ends[0].iter().zip(end).find(|(many, one)| many != one);
                        assert_eq!(differs, None, "many and one");
                        assert_eq!(ends[0].len(), end.len());
                    }
                });
                Ok(())
            },
        )
        .unwrap_or_else(|failure| panic!("{failure}"));
}
