//! What limits when more clients come, and more processes: throughput, and what sessions wait for.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures::future::try_join_all;

use crate::client::{Shape, all_ended};
use crate::figures::{Figure, Place, Run, figure, quantile, throughput, time};
use crate::sizes::Sizes;
use crate::stage::Stage;
use crate::wait_events::{Class, WaitEvents};

/// Clients that run one task at a time each, on one orchestrator and one worker.
const CLIENTS: [(&str, u32); 5] = [
    ("scale-1-client", 1),
    ("scale-4-clients", 4),
    ("scale-16-clients", 16),
    ("scale-32-clients", 32),
    ("scale-64-clients", 64),
];

/// Orchestrators, and as many workers, under the same load.
const FLEETS: [(&str, u32); 4] = [
    ("scale-fleet-of-1", 1),
    ("scale-fleet-of-2", 2),
    ("scale-fleet-of-4", 4),
    ("scale-fleet-of-8", 8),
];

/// Clients of a fleet's load, and how many tasks each submits at once.
const LOAD: (u32, u32) = (8, 100);

/// Sessions that are in a call at the same time, on average, by what they wait for.
const SESSIONS: [(Class, Figure); 7] = [
    (Class::Running, figure("sessions_running", "")),
    (Class::WalFlush, figure("sessions_flushing_wal", "")),
    (Class::WalInsertion, figure("sessions_inserting_wal", "")),
    (Class::Pages, figure("sessions_waiting_for_pages", "")),
    (Class::Extension, figure("sessions_extending_files", "")),
    (Class::Locks, figure("sessions_waiting_for_locks", "")),
    (Class::Other, figure("sessions_waiting_otherwise", "")),
];

/// First more and more clients, then more and more processes.
pub(crate) async fn measure(
    stage: &mut Stage<'_>,
    sizes: &Sizes,
    continuation: Option<bool>,
    run: &mut Run,
) -> Result<()> {
    let shape = stage.linear4().await?;
    for (workload, clients) in CLIENTS {
        let place = Place {
            workload,
            continuation,
        };
        let events = WaitEvents::watch(&stage.url()).await?;
        let client = |_| tasks_in_turn(stage, shape, sizes.scale);
        let started = Instant::now();
        let mut times = try_join_all((0..clients).map(client)).await?.concat();
        let seconds = started.elapsed().as_secs_f64();
        let tasks = u32::try_from(times.len()).unwrap_or(u32::MAX);
        note(tasks * shape.steps, seconds, &events, place, run);
        for (name, q) in [("latency_p50", 0.50), ("latency_p99", 0.99)] {
            run.note(place, time(name), quantile(&mut times, q));
        }
    }
    let mut running = 1;
    for (workload, processes) in FLEETS {
        for _ in running..processes {
            stage.start_more(continuation == Some(true)).await?;
        }
        running = processes;
        let place = Place {
            workload,
            continuation,
        };
        let events = WaitEvents::watch(&stage.url()).await?;
        let (clients, _) = LOAD;
        let client = |number| batches_in_turn(stage, shape, number, sizes.scale);
        let started = Instant::now();
        let tasks: u32 = try_join_all((0..clients).map(client)).await?.iter().sum();
        all_ended(stage.database).await?;
        let seconds = started.elapsed().as_secs_f64();
        note(tasks * shape.steps, seconds, &events, place, run);
    }
    Ok(())
}

fn note(steps: u32, seconds: f64, events: &WaitEvents, place: Place, run: &mut Run) {
    run.note(place, throughput("throughput"), f64::from(steps) / seconds);
    for (class, figure) in SESSIONS {
        run.note(place, figure, events.sessions(class));
    }
}

/// Runs task after task for a while; gives how long each took, in milliseconds.
async fn tasks_in_turn(stage: &Stage<'_>, shape: Shape, span: Duration) -> Result<Vec<f64>> {
    let started = Instant::now();
    let mut times = Vec::new();
    while started.elapsed() < span {
        let began = Instant::now();
        stage.client.run_one(shape).await?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(times)
}

/// Submits batch after batch for a while to one of the orchestrators, each when the one before it has
/// ended; gives how many tasks that were.
async fn batches_in_turn(
    stage: &Stage<'_>,
    shape: Shape,
    number: u32,
    span: Duration,
) -> Result<u32> {
    let started = Instant::now();
    let client = stage.client_of(number);
    let (_, batch) = LOAD;
    let mut tasks = 0;
    while started.elapsed() < span {
        let last = client.submit_batch(shape, batch).await?;
        client.ended(last).await?;
        tasks += batch;
    }
    Ok(tasks)
}
