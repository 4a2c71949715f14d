//! Channels that fill and drain: what is logged, sampled and told.

use super::*;

const INTERVAL: Duration = Duration::from_secs(10);

fn drain_to<T>(receiver: &mut Receiver<T>, len: usize) {
    while receiver.len() > len {
        receiver.try_recv().unwrap();
    }
}

fn saturation(sender: &Sender<i32>) -> f64 {
    sender.monitor().status().saturation
}

#[tokio::test(start_paused = true)]
async fn each_episode_of_saturation_is_logged_once_with_its_end() {
    let (sender, mut receiver) = bounded(spec("episodes", 10));
    let log = logged(|| (0..7).for_each(|message| sender.try_send(message).unwrap()));
    assert_eq!(log, "", "7 of 10 are below the threshold of 0.8");

    let log = logged(|| {
        (7..10).for_each(|message| sender.try_send(message).unwrap());
        sender.try_send(10).unwrap_err();
        for message in 0..100 {
            receiver.try_recv().unwrap();
            sender.try_send(message).unwrap();
        }
        drain_to(&mut receiver, 5);
        (0..5).for_each(|message| sender.try_send(message).unwrap());
    });
    assert_eq!(log.lines().count(), 1, "a level that swings: {log}");
    for part in ["WARN", r#"channel="episodes""#, "capacity=10", "len=8"] {
        assert!(log.contains(part), "no {part} in {log}");
    }

    tokio::time::advance(INTERVAL).await;
    let log = logged(|| drain_to(&mut receiver, 4));
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.contains("INFO") && log.contains("seconds=10"), "{log}");

    let log = logged(|| while sender.try_send(0).is_ok() {});
    assert_eq!(log.matches("WARN").count(), 1, "another episode: {log}");
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_fills_with_every_message_is_warned_of_once_in_an_interval() {
    let (sender, mut receiver) = bounded(spec("small", 1));
    let mut fill_and_drain = || {
        for message in 0..50 {
            sender.try_send(message).unwrap();
            receiver.try_recv().unwrap();
        }
    };
    let log = logged(&mut fill_and_drain);
    assert_eq!(log.matches("WARN").count(), 1, "{log}");
    tokio::time::advance(INTERVAL).await;
    let log = logged(fill_and_drain);
    assert_eq!(log.matches("WARN").count(), 1, "{log}");
}

#[tokio::test]
async fn a_full_channel_makes_health_degraded_until_it_drains() {
    let warns = |threshold| match registry::check_channel_health(threshold) {
        ChannelHealthStatus::Healthy => false,
        ChannelHealthStatus::Degraded { warnings } => warnings
            .iter()
            .any(|text| text == "channel channel_tests/health holds 3 of 4 messages"),
    };
    let (_sender, mut receiver) = full_of("health", 0..4);
    receiver.recv().await.unwrap();
    assert!(warns(0.75));
    assert!(!warns(0.76));
    receiver.recv().await.unwrap();
    assert!(!warns(0.75));
}

#[tokio::test]
async fn a_peak_between_two_samples_is_remembered_for_two() {
    let (sender, mut receiver) = bounded(spec("peak", 10));
    (0..9).for_each(|message| sender.try_send(message).unwrap());
    drain_to(&mut receiver, 2);
    let monitor = sender.monitor();
    let expect = |expected: f64| {
        let saturation = saturation(&sender);
        assert!((saturation - expected).abs() < 1e-9, "{saturation}");
    };
    expect(0.9);
    monitor.sample();
    expect(0.9);
    monitor.sample();
    expect(0.2);
    drain_to(&mut receiver, 0);
    monitor.sample();
    monitor.sample();
    expect(0.0);
}

#[tokio::test(start_paused = true)]
async fn the_sampler_looks_at_every_channel_each_interval() {
    let (sender, mut receiver) = full_of("sampled", 0..4);
    drain_to(&mut receiver, 0);
    let config = OverflowMetricsConfig {
        enabled: true,
        saturation_check_interval: Duration::from_secs(7),
    };
    let sampler = tokio::spawn(sampler::run(config));
    tokio::time::sleep(Duration::from_millis(6_990)).await;
    assert!(saturation(&sender) > 0.99, "sampled once, at the start");
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(saturation(&sender) < 0.01, "sampled twice");
    sampler.abort();
}

/// All senders wait, nothing is lost, and everything drains without anybody's help.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_saturated_channel_recovers_when_its_receiver_does() {
    const SENDERS: u64 = 16;
    const EACH: u64 = 500;
    let (sender, mut receiver) = bounded(spec("recovers", 4));
    let monitor = sender.monitor();
    let senders: Vec<_> = (0..SENDERS)
        .map(|number| {
            let sender = sender.clone();
            tokio::spawn(async move {
                for message in 0..EACH {
                    sender.send(number * EACH + message).await.unwrap();
                }
            })
        })
        .collect();
    drop(sender);
    // The receiver stands still until every sender has been stopped by the full channel.
    while monitor.counters().blocked < SENDERS {
        tokio::task::yield_now().await;
    }
    let status = monitor.status();
    assert_eq!((status.len, status.sent_total), (4, 4));
    assert!(status.is_saturated(1.0));

    let mut all = Vec::new();
    while let Some(message) = receiver.recv().await {
        all.push(message);
    }
    for sender in senders {
        sender.await.unwrap();
    }
    all.sort_unstable();
    assert!(all.into_iter().eq(0..SENDERS * EACH));
    assert_eq!(monitor.status().len, 0);
    assert!(!monitor.is_saturated(0.01));
}
