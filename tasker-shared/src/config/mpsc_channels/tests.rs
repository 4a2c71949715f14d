//! Sizes of channels: what each environment has, and what is refused.

use super::*;
use crate::config::{
    TaskerConfig,
    key_tests::base_keys,
    load,
    load_tests::{folder, inputs, loaded_with},
};

fn channels(environment: &str) -> MpscChannelsConfig {
    let config = TaskerConfig::load_from_env(environment).unwrap();
    config.mpsc_channels
}

#[test]
fn the_base_sizes_are_those_of_the_decision_record() {
    let MpscChannelsConfig {
        orchestration,
        task_readiness,
        worker,
        web,
        shared,
        overflow_policy,
    } = MpscChannelsConfig::default();
    assert_eq!(orchestration.command_processor.command_buffer_size, 1000);
    assert_eq!(orchestration.event_systems.event_channel_buffer_size, 1000);
    assert_eq!(orchestration.event_listeners.pgmq_event_buffer_size, 10_000);
    assert_eq!(task_readiness.event_channel.buffer_size, 1000);
    let send_timeout = task_readiness.event_channel.send_timeout;
    assert_eq!(send_timeout, Duration::from_secs(1));
    assert_eq!(worker.command_processor.command_buffer_size, 1000);
    assert_eq!(worker.event_systems.event_channel_buffer_size, 1000);
    assert_eq!(worker.event_subscribers.completion_buffer_size, 1000);
    assert_eq!(worker.event_subscribers.result_buffer_size, 1000);
    assert_eq!(worker.in_process_events.broadcast_buffer_size, 1000);
    assert_eq!(worker.event_listeners.pgmq_event_buffer_size, 1000);
    assert_eq!(web.submissions.submission_buffer_size, 1000);
    assert_eq!(shared.event_publisher.event_queue_buffer_size, 5000);
    assert_eq!(shared.ffi.ruby_event_buffer_size, 1000);
    assert!((overflow_policy.log_warning_threshold - 0.8).abs() < f64::EPSILON);
    assert_eq!(overflow_policy.drop_policy, DropPolicy::Block);
    assert!(overflow_policy.metrics.enabled);
    let interval = overflow_policy.metrics.saturation_check_interval;
    assert_eq!(interval, Duration::from_secs(10));
}

#[test]
fn environments_override_the_sizes_meant_for_them() {
    let sizes = |environment| {
        let channels = channels(environment);
        [
            channels.worker.in_process_events.broadcast_buffer_size,
            channels.web.submissions.submission_buffer_size,
            channels.shared.event_publisher.event_queue_buffer_size,
            channels.shared.ffi.ruby_event_buffer_size,
        ]
    };
    assert_eq!(sizes("test"), [500, 100, 500, 500]);
    assert_eq!(sizes("development"), [500, 500, 2500, 500]);
    assert_eq!(sizes("production"), [2000, 2000, 10_000, 2000]);
}

#[test]
fn published_events_are_dropped_as_their_section_says() {
    let key = "TASKER__MPSC_CHANNELS__SHARED__EVENT_PUBLISHER__DROP_POLICY";
    let policy_of = |variables: &[(&str, &str)]| {
        let channels = loaded_with(variables).config.mpsc_channels;
        channels.shared.event_publisher.drop_policy
    };
    assert_eq!(policy_of(&[]), DropPolicy::DropNewest);
    assert_eq!(policy_of(&[(key, "drop_oldest")]), DropPolicy::DropOldest);
    assert_eq!(policy_of(&[(key, "block")]), DropPolicy::Block);
}

/// The one problem of a file that sets one key of the channels.
fn refusal(section: &str, key: &str, value: &str) -> String {
    let text = format!("[mpsc_channels.{section}]\n{key} = {value}\n");
    let folder = folder(&[("base/mpsc_channels.toml", &text)]);
    let error = load(inputs("test", Some(folder.path()), &[])).unwrap_err();
    let [problem] = error.problems.as_slice() else {
        panic!("{section}.{key} = {value}: {error}");
    };
    assert!(
        problem.place.ends_with("base/mpsc_channels.toml:2"),
        "{problem}"
    );
    assert_eq!(
        problem.key.as_deref(),
        Some(format!("mpsc_channels.{section}.{key}").as_str())
    );
    problem.message.clone()
}

#[test]
fn sizes_that_make_no_sense_are_refused_with_file_key_and_reason() {
    let size = "pgmq_event_buffer_size";
    let section = "orchestration.event_listeners";
    assert_eq!(refusal(section, size, "0"), "0 is refused: lower than 1");
    assert_eq!(
        refusal(section, size, "1_000_001"),
        "1000001 is refused: greater than 1000000"
    );
    let negative = refusal(section, size, "-1");
    assert!(negative.contains("not negative"), "{negative}");
    let text = refusal(section, size, "\"many\"");
    assert_eq!(text, "expected a whole number, found \"many\"");
    for (value, reason) in [("1023", "lower than 1024"), ("4294967296", "greater than")] {
        let bytes = refusal(section, "pgmq_event_buffer_bytes", value);
        assert!(bytes.contains(reason), "{bytes}");
    }
    for value in ["0.0", "1.01", "-0.5", "nan"] {
        let threshold = refusal("overflow_policy", "log_warning_threshold", value);
        assert!(threshold.contains("above 0 and at most 1"), "{threshold}");
    }
    let interval = "saturation_check_interval_seconds";
    let never = refusal("overflow_policy.metrics", interval, "0");
    assert_eq!(never, "0 is refused: lower than 1");
}

#[test]
fn a_policy_that_a_channel_cannot_honour_is_refused_with_file_key_and_reason() {
    for policy in ["drop_oldest", "drop_newest"] {
        let value = format!("\"{policy}\"");
        let everywhere = refusal("overflow_policy", "drop_policy", &value);
        let start = format!("{value} is refused: channels of commands, database notifications");
        assert!(everywhere.starts_with(&start), "{everywhere}");
        assert!(everywhere.contains("mpsc_channels.shared.event_publisher.drop_policy"));
    }
    for (section, reason) in [
        ("orchestration.command_processor", "commands are lossless"),
        (
            "orchestration.event_listeners",
            "database notifications are lossless",
        ),
        ("worker.event_subscribers", "outcomes are lossless"),
        ("web.submissions", "submissions are lossless"),
        ("shared.ffi", "or gets its message back"),
        (
            "worker.in_process_events",
            "a broadcast always drops the oldest",
        ),
    ] {
        let lossless = refusal(section, "drop_policy", "\"drop_newest\"");
        assert!(lossless.starts_with("unknown key; "), "{lossless}");
        assert!(lossless.contains(reason), "{lossless}");
    }
    let unknown = refusal("shared.event_publisher", "drop_policy", "\"drop_all\"");
    assert!(
        unknown.contains("expected one of `block`, `drop_oldest`, `drop_newest`"),
        "{unknown}"
    );
}

#[test]
fn every_environment_says_how_large_every_buffer_is() {
    let base = base_keys();
    let sizes: Vec<_> = base
        .iter()
        .filter(|key| key.starts_with("mpsc_channels.") && key.ends_with("buffer_size"))
        .collect();
    assert!(sizes.len() > 10, "{sizes:?}");
    for environment in ["test", "development", "production"] {
        let loaded = load(inputs(environment, None, &[])).unwrap();
        for size in &sizes {
            let setting = loaded.settings().iter().find(|it| it.key == **size);
            let source = setting.unwrap().source.to_string();
            let file = format!("environments/{environment}/mpsc_channels.toml");
            assert!(source.contains(&file), "{size} is from {source}");
        }
    }
}
