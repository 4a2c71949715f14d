//! The calls of a case, drawn at random.

use proptest::prelude::*;

/// How an attempt ends.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    Complete,
    /// With a delay of its own, in milliseconds.
    Retry(Option<u64>),
    Fail,
}

/// A call of one of the actors. Numbers pick one of what there is.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    Submit(i32),
    Claim(i32),
    Receive {
        worker: u8,
        limit: i32,
    },
    Report {
        picks: Vec<(usize, Outcome)>,
        /// Whether what is complete may go on with its dependents.
        continuing: bool,
        /// Whether what it makes ready is put into the queue.
        enqueuing: bool,
        /// How many more of its dependents may start.
        room: usize,
    },
    Release {
        pick: usize,
        by_another: bool,
    },
    Extend {
        pick: usize,
        by_another: bool,
    },
    ExpireLeases,
    Advance(i64),
    Fire,
    Retry(usize),
    Settle {
        step: usize,
        skip: bool,
    },
    Cancel(usize),
    Resolve(usize),
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

pub(crate) fn calls() -> impl Strategy<Value = Call> {
    let any_step = 0..100_usize;
    let another = prop::bool::weighted(0.2);
    prop_oneof![
        2 => (-1..=1).prop_map(Call::Submit),
        6 => (1..8).prop_map(Call::Claim),
        8 => (0..2_u8, 1..6).prop_map(|(worker, limit)| Call::Receive { worker, limit }),
        12 => (
            prop::collection::vec((picks(), outcomes()), 1..4),
            any::<bool>(),
            any::<bool>(),
            prop_oneof![Just(0), 0..6_usize],
        )
            .prop_map(|(picks, continuing, enqueuing, room)| {
                Call::Report { picks, continuing, enqueuing, room }
            }),
        6 => (picks(), another)
            .prop_map(|(pick, by_another)| Call::Release { pick, by_another }),
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
