//! A burst of notifications whose consumer stands still: the channel takes what it may, PostgreSQL
//! keeps the rest, and nothing is lost. `make load` runs the large ones and prints what they need.

use std::fs;
use std::time::{Duration, Instant};

use tasker_shared::channel::{self, ChannelSpec, Receiver};
use tasker_testing::{TestDatabase, WAIT_TIMEOUT, wait_until};

use super::{
    CancellationToken, ListenEvent, Received, Subscriptions, Supervised, TaskReadinessListener,
    TaskerConfig,
};
use crate::task_readiness::classifier::ReadinessEventClassifier;

/// Notifications that are committed together, as submissions of many tasks do.
const TOGETHER: i32 = 500;

/// What the process may need beside the messages in the channel, in kibibytes: the server's socket,
/// the runtime's and the allocator's leftovers.
const BESIDES: u64 = 8 * 1024;

/// Each notification is one of its own; equal ones of a transaction PostgreSQL sends once.
const NOTIFY: &str = "
    select count(pg_notify('tasker_task_ready', json_build_object(
      'task_uuid', gen_random_uuid(), 'namespace', 'shop', 'priority', 0, 'ready_steps', 1,
      'triggered_by', 'task_start', 'number', number)::text))
    from generate_series($1::int4, $2::int4) as number
";

/// What a burst meets.
#[derive(Clone, Copy)]
struct Burst {
    notifications: i32,
    /// What the channel has room for.
    messages: usize,
    bytes: usize,
}

/// Resident memory in kibibytes, idle, at most, and afterwards.
struct Memory {
    idle: u64,
    peak: u64,
    after: u64,
}

fn memory(key: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let kibibytes = line.unwrap().trim().trim_end_matches(" kB");
    kibibytes.parse().unwrap()
}

/// Sends a burst while nobody receives, and then receives it all.
async fn stall_and_release(burst: Burst) -> Memory {
    let db = TestDatabase::create().await;
    let mut config = TaskerConfig::default();
    // Short, so that heartbeats are due while nobody receives.
    config.event_systems.listener.heartbeat_interval = Duration::from_millis(100);
    let database = db.database().await;
    let classifier = ReadinessEventClassifier::new(database.channels(), &[]);
    let spec = ChannelSpec {
        name: "notifications",
        component: "listener_tests",
        capacity: burst.messages,
    };
    let (sender, mut receiver) = channel::bounded_by_bytes(spec, burst.bytes);
    let monitor = sender.monitor();
    let stop = CancellationToken::new();
    let channels = Subscriptions::new(classifier.channels().map(str::to_owned));
    let mut listener =
        TaskReadinessListener::new(&database, &config, channels, sender, stop.clone());
    let listening = tokio::spawn(async move { listener.run().await });
    let connected = receiver.recv().await.unwrap();
    assert_eq!(connected.what, ListenEvent::Connected);

    let idle = memory("VmRSS:");
    // Makes the peak that of what follows.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let mut client = db.connect().await;
    for first in (1..=burst.notifications).step_by(TOGETHER as usize) {
        let last = burst.notifications.min(first + TOGETHER - 1);
        let notify = sqlx::query(NOTIFY).bind(first).bind(last);
        notify.execute(&mut client).await.unwrap();
    }
    wait_until("the channel is full", WAIT_TIMEOUT, async || {
        monitor.counters().blocked > 0
    })
    .await;
    assert!(monitor.is_saturated(1.0));
    let kept: bool = sqlx::query_scalar("select pg_notification_queue_usage() > 0")
        .fetch_one(&mut client)
        .await
        .unwrap();
    assert!(kept, "PostgreSQL has sent everything");
    let stalled = memory("VmHWM:");

    let released = Instant::now();
    receive(&mut receiver, burst.notifications).await;
    let took = released.elapsed();
    let status = monitor.status();
    assert!(status.high_water <= burst.messages, "{status:?}");
    let memory = Memory {
        idle,
        peak: memory("VmHWM:"),
        after: memory("VmRSS:"),
    };
    println!(
        "{} notifications: idle {} KiB, stalled {stalled} KiB, peak {} KiB, after {} KiB; at most {} \
         of {} messages waited; received in {took:.1?}",
        burst.notifications,
        memory.idle,
        memory.peak,
        memory.after,
        status.high_water,
        burst.messages,
    );
    stop.cancel();
    listening.await.unwrap();
    memory
}

/// Receives until each of the numbers from 1 to `all` has come; none comes twice.
async fn receive(receiver: &mut Receiver<Received<ListenEvent>>, all: i32) {
    let all = usize::try_from(all).unwrap();
    let mut has_come = vec![false; all + 1];
    let everything = async {
        for _ in 0..all {
            let ListenEvent::Notification { payload, .. } = receiver.recv().await.unwrap().what
            else {
                panic!("the connection was given up");
            };
            let payload: serde_json::Value = serde_json::from_str(&payload).unwrap();
            let number = usize::try_from(payload["number"].as_u64().unwrap()).unwrap();
            assert!(!has_come[number], "{payload} twice");
            has_come[number] = true;
        }
    };
    let all_came = tokio::time::timeout(WAIT_TIMEOUT, everything).await;
    let came = has_come.iter().filter(|has_come| **has_come).count();
    assert!(all_came.is_ok() && came == all, "{came} of {all} came");
}

/// Says that what was not sent yet did not take memory, whatever there was of it.
async fn stays_flat(burst: Burst) {
    let memory = stall_and_release(burst).await;
    let grown = memory.peak.saturating_sub(memory.idle);
    let most = BESIDES + burst.bytes as u64 / 1024;
    assert!(grown <= most, "{grown} KiB more than idle, of {most}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_whose_consumer_stands_still_waits_and_is_received_whole() {
    stall_and_release(Burst {
        notifications: 20_000,
        messages: 100,
        bytes: 1 << 20,
    })
    .await;
}

/// The first load test of `make load`, in a process of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures the memory of its process: make load"]
async fn ten_thousand_notifications_wait_in_flat_memory() {
    stays_flat(Burst {
        notifications: 10_000,
        messages: 1_000,
        bytes: 4 << 20,
    })
    .await;
}

/// The second, with the channel as it is configured by default.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures the memory of its process: make load"]
async fn a_hundred_thousand_notifications_wait_in_flat_memory() {
    let config = TaskerConfig::default();
    let channel = config.mpsc_channels.orchestration.event_listeners;
    stays_flat(Burst {
        notifications: 100_000,
        messages: channel.pgmq_event_buffer_size,
        bytes: channel.pgmq_event_buffer_bytes,
    })
    .await;
}
