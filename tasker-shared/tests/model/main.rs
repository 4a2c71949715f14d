//! Random graphs, tasks and calls of several actors, against a model in plain Rust: after each call
//! the database holds what the model holds, the call answered what the model says, and the doctor
//! finds nothing. In the end every task ends.

#![allow(clippy::unwrap_used)]

mod expected;
mod play;
#[path = "../support/mod.rs"]
mod support;

use std::cell::RefCell;

use expected::Graph;
use play::{Call, Outcome, Play};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use support::World;

/// Cases of one run, unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 60;
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

#[test]
fn the_engine_does_what_the_model_does() {
    let cases = std::env::var("PROPTEST_CASES").map_or(CASES, |cases| cases.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let world = RefCell::new(runtime.block_on(World::new()));
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 400,
        ..ProptestConfig::default()
    };
    let strategy = (graphs(), prop::collection::vec(calls(), CALLS));

    TestRunner::new(config)
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
