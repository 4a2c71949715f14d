//! What monitoring costs: our channels against plain tokio's, in the same process, in turns.
//!
//! Each round sends the same messages through each kind of channel, so that whatever else the
//! machine does hits all of them alike; the median of the rounds' ratios is the figure that counts.
//! `cargo bench -p tasker-shared --bench channels [-- ROUNDS]`

use std::{
    env,
    process::ExitCode,
    time::{Duration, Instant},
};

use tasker_shared::{
    channel::{self, ChannelSpec, Weighed},
    config::MpscChannelsConfig,
};
use tokio::runtime::{Builder, Runtime};

/// Messages of one measurement: some tens of milliseconds.
const MESSAGES: u32 = 300_000;
const ROUNDS: usize = 31;
/// How much slower than plain tokio our channels may be.
const ALLOWED: f64 = 1.10;

struct Message(u64);

impl Weighed for Message {
    fn weight(&self) -> usize {
        size_of::<Self>()
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Tokio,
    Monitored,
    ByBytes,
}

/// The same loops for senders and receivers of different types.
macro_rules! measure {
    ($ends:expr, $producers:expr) => {{
        let (sender, mut receiver) = $ends;
        let each = u64::from(MESSAGES) / $producers;
        let start = Instant::now();
        for _ in 0..$producers {
            let sender = sender.clone();
            tokio::spawn(async move {
                for number in 0..each {
                    if sender.send(Message(number)).await.is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let receiver = tokio::spawn(async move {
            let (mut count, mut sum) = (0, 0);
            while let Some(Message(number)) = receiver.recv().await {
                count += 1;
                sum += number;
            }
            (count, sum)
        });
        let received = receiver.await.expect("the receiver does not panic");
        let sum = $producers * (each * (each - 1) / 2);
        assert_eq!(received, (each * $producers, sum), "every message arrives");
        start.elapsed()
    }};
}

#[expect(
    clippy::disallowed_methods,
    reason = "plain tokio is what is compared with"
)]
async fn one_run(kind: Kind, producers: u64, capacity: usize) -> Duration {
    let spec = ChannelSpec {
        name: "bench",
        component: "bench",
        capacity,
    };
    match kind {
        Kind::Tokio => measure!(tokio::sync::mpsc::channel(capacity), producers),
        Kind::Monitored => measure!(channel::bounded(spec), producers),
        Kind::ByBytes => {
            measure!(channel::bounded_by_bytes(spec, usize::MAX - 1), producers)
        }
    }
}

struct Figures {
    tokio_nanos: f64,
    nanos: f64,
    ratio: f64,
}

/// Medians over all rounds: of times per message, and of the ratios within a round.
fn compare(runtime: &Runtime, kind: Kind, producers: u64, rounds: usize) -> Figures {
    let capacity = MpscChannelsConfig::default()
        .orchestration
        .command_processor
        .command_buffer_size;
    let nanos = |kind| {
        let run = runtime.spawn(one_run(kind, producers, capacity));
        let time = runtime.block_on(run).expect("a run does not panic");
        time.as_secs_f64() * 1e9 / f64::from(MESSAGES)
    };
    let (mut plain, mut ours, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=rounds {
        // Who goes first takes turns.
        let (one, other) = if round % 2 == 0 {
            let plain = nanos(Kind::Tokio);
            (plain, nanos(kind))
        } else {
            let ours = nanos(kind);
            (nanos(Kind::Tokio), ours)
        };
        // The first round warms up.
        if round > 0 {
            plain.push(one);
            ours.push(other);
            ratios.push(other / one);
        }
    }
    Figures {
        tokio_nanos: median(plain),
        nanos: median(ours),
        ratio: median(ratios),
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() -> ExitCode {
    // `cargo bench` passes --bench, `cargo test` --test or nothing: then one round shows that it runs.
    let arguments: Vec<String> = env::args().skip(1).collect();
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    let given = arguments.iter().find_map(|argument| argument.parse().ok());
    let rounds = given.unwrap_or(if is_bench { ROUNDS } else { 1 });
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");

    println!("median of {rounds} rounds of {MESSAGES} messages, one receiver");
    println!("{:<34}{:>10}{:>10}{:>8}", "", "tokio", "ours", "ratio");
    let mut is_allowed = true;
    for (kind, name) in [
        (Kind::Monitored, "monitored"),
        (Kind::ByBytes, "monitored, by bytes"),
    ] {
        for producers in [1, 16] {
            let figures = compare(&runtime, kind, producers, rounds);
            let label = format!("{name}, {producers} producers");
            println!(
                "{label:<34}{:>7.0} ns{:>7.0} ns{:>8.2}",
                figures.tokio_nanos, figures.nanos, figures.ratio
            );
            is_allowed &= figures.ratio <= ALLOWED;
        }
    }
    if is_allowed || !is_bench {
        return ExitCode::SUCCESS;
    }
    println!("slower than tokio by more than a tenth");
    ExitCode::FAILURE
}
