//! Random graphs, tasks and calls of several actors, against a model in plain Rust: after each call
//! the database holds what the model holds, the call answered what the model says, and the doctor
//! finds nothing. In the end every task ends. And histories that come to the same, whether steps go
//! through the queue or are handed on.

#![allow(clippy::unwrap_used)]

mod both_ways;
mod expected;
mod play;
#[path = "../support/mod.rs"]
mod support;

use std::cell::{Cell, RefCell};

use both_ways::{Fate, Hand, History, Way, happen};
use expected::Graph;
use play::{Call, Outcome, Play, empty_but_for};
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

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        6 => Just(Outcome::Complete),
        3 => prop::option::of(0..5000_u64).prop_map(Outcome::Retry),
        2 => Just(Outcome::Fail),
    ]
}

/// Mostly one of the latest, sometimes one of long ago.
fn picks() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 0..4_usize, 1 => 0..100_usize]
}

fn calls() -> impl Strategy<Value = Call> {
    let any_step = 0..100_usize;
    let another = prop::bool::weighted(0.2);
    prop_oneof![
        2 => (-1..=1).prop_map(Call::Submit),
        6 => (1..8).prop_map(Call::Claim),
        8 => (0..2_u8, 1..6).prop_map(|(worker, limit)| Call::Receive { worker, limit }),
        12 => (prop::collection::vec((picks(), outcomes()), 1..4), any::<bool>())
            .prop_map(|(picks, continuing)| Call::Report { picks, continuing }),
        6 => (picks(), any::<bool>(), another)
            .prop_map(|(pick, refused, by_another)| Call::Release { pick, refused, by_another }),
        2 => (picks(), another)
            .prop_map(|(pick, by_another)| Call::Extend { pick, by_another }),
        2 => Just(Call::ExpireLeases),
        3 => (0..3000_i64).prop_map(Call::Advance),
        3 => Just(Call::Fire),
        4 => prop_oneof![0..2_usize, 0..100_usize].prop_map(Call::Retry),
        1 => (any_step.clone(), any::<bool>())
            .prop_map(|(step, skip)| Call::Settle { step, skip }),
        1 => any_step.clone().prop_map(Call::Cancel),
        1 => any_step.prop_map(Call::Resolve),
    ]
}

fn histories() -> impl Strategy<Value = History> {
    let fates = prop_oneof![
        10 => Just(Fate::Complete),
        2 => prop::option::of(0..5000_u64).prop_map(Fate::Retry),
        1 => Just(Fate::Fail),
        1 => Just(Fate::Lost),
        1 => Just(Fate::Refused),
    ];
    let hands = prop_oneof![
        3 => Just(Hand::Retry),
        1 => Just(Hand::Skip),
        1 => Just(Hand::Resolve),
        1 => Just(Hand::Cancel),
    ];
    (
        graphs(),
        prop::collection::vec(-1..=1, 1..4),
        prop::collection::vec(fates, 20..40),
        prop::collection::vec(hands, 0..3),
    )
        .prop_map(|(graph, tasks, fates, hands)| History {
            graph,
            tasks,
            fates,
            hands,
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
    let handed_on = Cell::new(0);
    let strategy = (histories(), any::<u64>());

    runner(HISTORIES)
        .run(&strategy, |(history, seed)| {
            let mut world = world.borrow_mut();
            runtime.block_on(async {
                let template = empty_but_for(&mut world, &history.graph).await;
                let queued = happen(&mut world, &template, &history, (Way::Queue, seed)).await;
                let template = empty_but_for(&mut world, &history.graph).await;
                let way = (Way::Continuation, seed);
                let continued = happen(&mut world, &template, &history, way).await;
                assert_eq!(queued.lines, continued.lines);
                assert_eq!(queued.handed_on, 0);
                handed_on.set(handed_on.get() + continued.handed_on);
            });
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{failure}"));

    assert!(handed_on.get() > 0, "nothing was handed on");
}
