//! Loading, seen from outside: which value wins, and where it came from.

use std::{fs, path::Path};

use tempfile::TempDir;

use super::*;

/// A configuration folder with these files.
pub(super) fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

pub(super) fn inputs(
    environment: &str,
    folder: Option<&Path>,
    variables: &[(&str, &str)],
) -> ConfigInputs {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    ConfigInputs {
        environment: environment.to_owned(),
        folder: folder.map(Path::to_owned),
        variables: variables.iter().map(owned).collect(),
    }
}

pub(super) fn loaded_with(variables: &[(&str, &str)]) -> LoadedConfig {
    load(inputs("development", None, variables)).unwrap()
}

#[test]
fn without_folder_and_variables_the_built_in_files_apply() {
    let config = TaskerConfig::load_from_env("development").unwrap();
    assert_eq!(config.database, DatabaseConfig::default());
    assert_eq!(config.orchestration.deployment.mode, DeploymentMode::Hybrid);
    assert_eq!(
        config.mpsc_channels.overflow_policy,
        MpscChannelsConfig::default().overflow_policy
    );
}

#[test]
fn every_environment_has_the_channel_sizes_meant_for_it() {
    let sizes = |environment: &str| {
        let channels = TaskerConfig::load_from_env(environment)
            .unwrap()
            .mpsc_channels;
        [
            channels.orchestration.command_processor.command_buffer_size,
            channels
                .orchestration
                .event_listeners
                .pgmq_event_buffer_size,
            channels.task_readiness.event_channel.buffer_size,
            channels.worker.command_processor.command_buffer_size,
        ]
    };
    assert_eq!(sizes("test"), [100, 1000, 100, 100]);
    assert_eq!(sizes("development"), [500, 5000, 500, 500]);
    assert_eq!(sizes("production"), [5000, 50_000, 5000, 2000]);
}

#[test]
fn the_folder_wins_over_what_is_built_in_and_variables_over_the_folder() {
    let folder = folder(&[
        (
            "base/worker.toml",
            "[worker]\nconcurrency = 7\nreceive_batch_size = 8\nreporters = 9\n",
        ),
        (
            "environments/production/worker.toml",
            "[worker]\nreceive_batch_size = 80\n",
        ),
        (
            "environments/test/worker.toml",
            "[worker]\nconcurrency = 1\n",
        ),
        (
            "base/mpsc.toml",
            "[mpsc_channels.worker.command_processor]\ncommand_buffer_size = 3\n",
        ),
        ("base/notes.txt", "not read"),
    ]);
    let variables = [("TASKER__WORKER__REPORTERS", "60")];
    let config = load(inputs("production", Some(folder.path()), &variables))
        .unwrap()
        .config;
    assert_eq!(config.worker.concurrency, 7);
    assert_eq!(config.worker.receive_batch_size, 80);
    assert_eq!(config.worker.reporters, 60);
    assert_eq!(
        config
            .mpsc_channels
            .worker
            .command_processor
            .command_buffer_size,
        3
    );
    assert_eq!(
        config
            .mpsc_channels
            .orchestration
            .command_processor
            .command_buffer_size,
        5000
    );
}

#[test]
fn an_environment_of_the_folders_own_is_accepted() {
    let folder = folder(&[(
        "environments/staging/web.toml",
        "[web]\nmax_batch_tasks = 5\n",
    )]);
    let config = load(inputs("staging", Some(folder.path()), &[]))
        .unwrap()
        .config;
    assert_eq!(config.web.max_batch_tasks, 5);
}

#[test]
fn short_variables_set_the_keys_they_stand_for() {
    let config = loaded_with(&[
        ("DATABASE_URL", "postgres://app:s3cret@db/tasker"),
        ("DEPLOYMENT_MODE", "PollingOnly"),
        ("INSTANCE_ID", "orch-poll-1"),
        ("NAMESPACE", "fulfillment, payments"),
        ("POLL_INTERVAL_MS", "2500"),
    ])
    .config;
    assert_eq!(
        config.database.url.as_str(),
        "postgres://app:s3cret@db/tasker"
    );
    assert_eq!(
        config.orchestration.deployment.mode,
        DeploymentMode::PollingOnly
    );
    assert_eq!(config.worker.deployment.mode, DeploymentMode::PollingOnly);
    assert_eq!(config.orchestration.instance_name(), "orch-poll-1");
    assert_eq!(config.worker.instance_name(), "orch-poll-1");
    assert_eq!(config.worker.namespaces, ["fulfillment", "payments"]);
    assert_eq!(config.worker.poll_interval.as_millis(), 2500);
    let readiness = &config.orchestration.task_readiness;
    assert_eq!(readiness.fallback_polling_interval.as_millis(), 2500);
}

#[test]
fn an_instance_id_may_hold_the_name_of_the_host() {
    let config = loaded_with(&[("INSTANCE_ID", "orch-event-${HOSTNAME}")]).config;
    let expected = format!("orch-event-{}", crate::config::host_name());
    assert_eq!(config.orchestration.instance_name(), expected);
    assert_eq!(config.worker.instance_name(), expected);
}

#[test]
fn an_empty_short_variable_is_as_good_as_none() {
    let names = [
        "DATABASE_URL",
        "DEPLOYMENT_MODE",
        "INSTANCE_ID",
        "NAMESPACE",
        "POLL_INTERVAL_MS",
    ];
    let empty = names.map(|name| (name, ""));
    assert_eq!(loaded_with(&empty).config, loaded_with(&[]).config);
}

#[test]
fn the_long_name_of_a_variable_wins_over_the_short_one() {
    let config = loaded_with(&[
        ("TASKER__ORCHESTRATION__DEPLOYMENT__MODE", "EventDrivenOnly"),
        ("DEPLOYMENT_MODE", "PollingOnly"),
    ])
    .config;
    assert_eq!(
        config.orchestration.deployment.mode,
        DeploymentMode::EventDrivenOnly
    );
    assert_eq!(config.worker.deployment.mode, DeploymentMode::PollingOnly);
}

#[test]
fn a_text_that_looks_like_a_number_or_a_boolean_stays_a_text() {
    for text in ["007", "true", "1e5", "2026-01-01", "[1]"] {
        let config = loaded_with(&[("INSTANCE_ID", text)]).config;
        assert_eq!(config.worker.instance_id, text);
        let config = loaded_with(&[("TASKER__WORKER__INSTANCE_ID", text)]).config;
        assert_eq!(config.worker.instance_id, text);
    }
    let quoted = loaded_with(&[("TASKER__WORKER__INSTANCE_ID", r#""quoted""#)]).config;
    assert_eq!(quoted.worker.instance_id, "quoted");
}

#[test]
fn a_variable_can_give_numbers_and_lists() {
    let config = loaded_with(&[
        ("TASKER__WORKER__LEASE_SECONDS", "45"),
        ("TASKER__WORKER__CONCURRENCY", "3"),
        ("TASKER__WORKER__NAMESPACES", r#"["a", "b"]"#),
    ])
    .config;
    assert_eq!(config.worker.lease.as_secs(), 45);
    assert_eq!(config.worker.concurrency, 3);
    assert_eq!(config.worker.namespaces, ["a", "b"]);
    let config = loaded_with(&[("TASKER__WORKER__NAMESPACES", "a,b")]).config;
    assert_eq!(config.worker.namespaces, ["a", "b"]);
}

#[test]
fn every_setting_tells_its_value_and_its_source() {
    let folder = folder(&[("base/worker.toml", "\n[worker]\nconcurrency = 7\n")]);
    let variables = [("DATABASE_URL", "postgres://app:s3cret@db/tasker")];
    let loaded = load(inputs("production", Some(folder.path()), &variables)).unwrap();
    let line = |key: &str| {
        let setting = loaded
            .settings()
            .iter()
            .find(|setting| setting.key == key)
            .unwrap();
        let source = setting.source.to_string();
        format!(
            "{} from {}",
            setting.value,
            source.rsplit('/').next().unwrap()
        )
    };
    assert_eq!(line("worker.concurrency"), "7 from worker.toml:3");
    assert_eq!(
        line("database.url"),
        r#""postgres://app:****@db/tasker" from environment variable DATABASE_URL"#
    );
    assert_eq!(
        line("telemetry.log_format"),
        r#""json" from telemetry.toml:2"#
    );
    let web = loaded
        .settings()
        .iter()
        .find(|setting| setting.key == "web.bind")
        .unwrap();
    assert!(
        web.source
            .to_string()
            .starts_with("built-in base/web.toml:"),
        "{}",
        web.source
    );
    assert_eq!(loaded.settings().len(), key_tests::base_keys().len());
}

#[test]
fn retries_of_the_readiness_channel_are_where_the_documents_have_them() {
    let folder = folder(&[(
        "base/event_systems.toml",
        "[event_systems.task_readiness.metadata.event_channel]\nmax_retries = 7\nbackoff = 9\n",
    )]);
    let config = load(inputs("test", Some(folder.path()), &[]))
        .unwrap()
        .config;
    let channel = &config.event_systems.task_readiness.metadata.event_channel;
    assert_eq!(channel.max_retries, 7);
    assert_eq!(channel.backoff.as_millis(), 9);
}

#[test]
fn a_namespace_has_its_own_retention_from_a_file_or_a_variable() {
    let folder = folder(&[(
        "base/retention.toml",
        "[retention]\nerror_days = 90\n[retention.namespaces.shop]\ncomplete_days = 7\n",
    )]);
    let variables = [
        ("TASKER__RETENTION__NAMESPACES__SHOP__COMPLETE_DAYS", "5"),
        ("TASKER__RETENTION__NAMESPACES__BILLING__ERROR_DAYS", "365"),
    ];
    let loaded = load(inputs("development", Some(folder.path()), &variables)).unwrap();
    let retention = &loaded.config.retention;
    assert_eq!(retention.error_days, 90);
    assert_eq!(retention.namespaces["shop"]["complete_days"], 5);
    assert_eq!(retention.namespaces["billing"]["error_days"], 365);
    let mut settings = loaded.settings().iter();
    let billing = settings.find(|it| it.key == "retention.namespaces.billing.error_days");
    assert!(billing.unwrap().source.to_string().contains(variables[1].0));
}
