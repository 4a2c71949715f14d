//! Loading, seen from outside: which value wins, where it came from, how errors read.

use std::{fs, path::Path};

use tempfile::TempDir;

use super::*;

/// A configuration folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn inputs(environment: &str, folder: Option<&Path>, variables: &[(&str, &str)]) -> ConfigInputs {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    ConfigInputs {
        environment: environment.to_owned(),
        folder: folder.map(Path::to_owned),
        variables: variables.iter().map(owned).collect(),
    }
}

fn loaded_with(variables: &[(&str, &str)]) -> LoadedConfig {
    load(inputs("development", None, variables)).unwrap()
}

/// The problems of a folder's files and of variables, one line each, the folder's path left out.
fn problems(files: &[(&str, &str)], variables: &[(&str, &str)]) -> Vec<String> {
    let folder = folder(files);
    let given = (!files.is_empty()).then_some(folder.path());
    let error = load(inputs("development", given, variables)).unwrap_err();
    let path = format!("{}/", folder.path().display());
    error
        .problems
        .iter()
        .map(|problem| problem.to_string().replace(&path, ""))
        .collect()
}

#[test]
fn without_folder_and_variables_the_built_in_files_apply() {
    let config = TaskerConfig::load_from_env("development").unwrap();
    assert_eq!(config.database, DatabaseConfig::default());
    assert_eq!(config.orchestration.deployment.mode, DeploymentMode::Hybrid);
    assert_eq!(
        config.mpsc_channels.overflow_policy.log_warning_threshold,
        0.8
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
    assert_eq!(sizes("test"), [100, 10_000, 100, 100]);
    assert_eq!(sizes("development"), [1000, 10_000, 500, 1000]);
    assert_eq!(sizes("production"), [5000, 50_000, 5000, 2000]);
}

#[test]
fn the_folder_wins_over_what_is_built_in_and_variables_over_the_folder() {
    let folder = folder(&[
        (
            "base/worker.toml",
            "[worker]\nconcurrency = 7\nreceive_batch_size = 8\nmax_refusals = 9\n",
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
    let variables = [("TASKER__WORKER__MAX_REFUSALS", "90")];
    let config = load(inputs("production", Some(folder.path()), &variables))
        .unwrap()
        .config;
    assert_eq!(config.worker.concurrency, 7);
    assert_eq!(config.worker.receive_batch_size, 80);
    assert_eq!(config.worker.max_refusals, 90);
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
    assert_eq!(config.worker.poll_interval().as_millis(), 2500);
    let readiness = &config.orchestration.task_readiness;
    assert_eq!(readiness.fallback_polling_interval().as_millis(), 2500);
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
    let refused = problems(&[], &[("DATABASE_URL", "12345"), ("NAMESPACE", "true,123")]);
    assert_eq!(
        refused,
        [
            "environment variable DATABASE_URL: key database.url: \"12345\" is refused: is not a \
             database address: expected postgres://user@host:port/database",
            "environment variable NAMESPACE: key worker.namespaces: [\"true\", \"123\"] is refused: \
             \"123\" is not a namespace: expected a lower-case letter, then up to 28 lower-case \
             letters, digits or underscores",
        ]
    );
}

#[test]
fn a_variable_can_give_numbers_and_lists() {
    let config = loaded_with(&[
        ("TASKER__WORKER__LEASE_SECONDS", "45"),
        ("TASKER__WORKER__CONCURRENCY", "3"),
        ("TASKER__WORKER__NAMESPACES", r#"["a", "b"]"#),
    ])
    .config;
    assert_eq!(config.worker.lease().as_secs(), 45);
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
fn all_problems_are_reported_together_with_their_places() {
    let found = problems(
        &[
            (
                "base/worker.toml",
                "[worker]\nconcurency = 5\nlease_seconds = \"long\"\nmax_result_bytes = -1\n",
            ),
            (
                "base/web.toml",
                "[web]\nbind = \"localhost\"\nmax_batch_tasks = 0\n",
            ),
            (
                "base/broken.toml",
                "[database]\nurl = \"postgres://app:s3cret@db\n",
            ),
        ],
        &[
            ("TASKER__DATABASE__POOL_SIZE", "5"),
            ("TASKER__DATABASE__MAX_CONNECTIONS", "abc"),
            ("DEPLOYMENT_MODE", "Polling"),
            ("POLL_INTERVAL_MS", "5s"),
        ],
    );
    let expected = [
        "base/broken.toml:2: not valid TOML: ",
        "base/worker.toml:2: key worker.concurency: unknown key; expected one of concurrency, \
         deployment, ",
        "base/worker.toml:3: key worker.lease_seconds: expected a number, found \"long\"",
        "environment variable DEPLOYMENT_MODE: unknown deployment mode \"Polling\": expected \
         EventDrivenOnly, Hybrid or PollingOnly",
        "environment variable POLL_INTERVAL_MS: expected milliseconds, a whole number above 0, \
         found \"5s\"",
        "environment variable TASKER__DATABASE__MAX_CONNECTIONS: key database.max_connections: \
         expected a whole number, found \"abc\"",
        "environment variable TASKER__DATABASE__POOL_SIZE: key database.pool_size: unknown key; \
         expected one of acquire_timeout_ms, ",
        "base/worker.toml:4: key worker.max_result_bytes: invalid value: integer `-1`, expected a \
         whole number that is not negative",
        "base/web.toml:2: key web.bind: \"localhost\" is not an address with a port: expected one \
         such as 127.0.0.1:8080",
        "base/web.toml:3: key web.max_batch_tasks: 0 is refused: lower than 1",
    ];
    for start in expected {
        assert!(
            found.iter().any(|line| line.starts_with(start)),
            "no {start:?} in\n{found:#?}"
        );
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn values_out_of_range_are_refused() {
    for (key, value) in [
        ("DATABASE__MAX_CONNECTIONS", "0"),
        ("WORKER__CONCURRENCY", "1000000000"),
        ("WORKER__LEASE_SECONDS", "nan"),
        ("WORKER__LEASE_SECONDS", "inf"),
        ("ORCHESTRATION__CLAIMS__BATCH_SIZE", "-5"),
        (
            "MPSC_CHANNELS__WORKER__COMMAND_PROCESSOR__COMMAND_BUFFER_SIZE",
            "0",
        ),
        (
            "MPSC_CHANNELS__WORKER__COMMAND_PROCESSOR__COMMAND_BUFFER_SIZE",
            "1000001",
        ),
        (
            "MPSC_CHANNELS__OVERFLOW_POLICY__LOG_WARNING_THRESHOLD",
            "1.5",
        ),
        ("MPSC_CHANNELS__OVERFLOW_POLICY__LOG_WARNING_THRESHOLD", "0"),
        (
            "MPSC_CHANNELS__OVERFLOW_POLICY__LOG_WARNING_THRESHOLD",
            "nan",
        ),
        ("TELEMETRY__LOG_FILTER", "tasker=loud"),
        ("TELEMETRY__LOG_FORMAT", "xml"),
        ("DATABASE__CALL_TIMEOUT_MS", "10"),
        ("WEB__MAX_PAGE_SIZE", "10"),
        ("EVENT_SYSTEMS__LISTENER__RECONNECT_MAX_MS", "10"),
        ("EVENT_SYSTEMS__SUPERVISOR__RESTART_MAX_MS", "10"),
    ] {
        let name = format!("TASKER__{key}");
        let found = problems(&[], &[(&name, value)]);
        let [problem] = found.as_slice() else {
            panic!("{key}={value}: {found:#?}")
        };
        let key = key.to_lowercase().replace("__", ".");
        let start = format!("environment variable {name}: key {key}: ");
        assert!(problem.starts_with(&start), "{problem}");
    }
}

#[test]
fn a_section_without_the_prefix_of_channels_is_refused_with_a_hint() {
    let found = problems(
        &[
            (
                "environments/development/a.toml",
                "[task_readiness.event_channel]\nbuffer_size = 1\n",
            ),
            (
                "environments/development/b.toml",
                "\n[worker.command_processor]\ncommand_buffer_size = 1\n",
            ),
        ],
        &[],
    );
    assert_eq!(
        found,
        [
            "environments/development/a.toml:1: key task_readiness: unknown key; sizes of channels \
             need the full prefix: [mpsc_channels.task_readiness]",
            "environments/development/b.toml:2: key worker.command_processor: unknown key; sizes of \
             channels need the full prefix: [mpsc_channels.worker.command_processor]",
        ]
    );
}

#[test]
fn a_key_set_by_two_files_of_one_layer_is_refused() {
    let found = problems(
        &[
            ("base/a.toml", "[worker]\nconcurrency = 1\n"),
            (
                "base/b.toml",
                "[worker]\nmax_refusals = 1\nconcurrency = 2\n",
            ),
        ],
        &[],
    );
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("base/b.toml:3: key worker.concurrency: is set twice, also in "));
}

#[test]
fn a_table_in_the_place_of_a_value_is_refused_and_so_is_the_reverse() {
    assert_eq!(
        problems(
            &[(
                "base/a.toml",
                "database = 5\n[worker.concurrency]\nmost = 3\n"
            )],
            &[]
        ),
        [
            "base/a.toml:1: key database: expected a table with the keys acquire_timeout_ms, \
             call_timeout_ms, listen_url, max_connections, statement_timeout_ms, url, found a whole \
             number",
            "base/a.toml:2: key worker.concurrency: expected a whole number, found a table",
        ]
    );
}

#[test]
fn no_password_is_ever_printed() {
    let url = "postgres://app:s3cret@db/tasker";
    let loaded = loaded_with(&[("DATABASE_URL", url), ("TASKER__DATABASE__LISTEN_URL", url)]);
    assert_eq!(loaded.config.database.listen_url().as_str(), url);
    let shown = format!("{loaded:?} {:?}", loaded.settings());
    assert!(!shown.contains("s3cret"), "{shown}");

    let file =
        format!("[database]\nurl = [\"{url}\"]\npassword = \"s3cret\"\nlisten_url = s3cret\n");
    for (files, variables) in [
        (
            vec![],
            vec![("DATABASE_URL", "mysql://app:s3cret@db/tasker")],
        ),
        (
            vec![],
            vec![
                ("TASKER__DATABASE", url),
                ("TASKER__DATABASE__PASSWORD", "s3cret"),
            ],
        ),
        (
            vec![],
            vec![
                ("TASKER__DATABASE__MAX_CONNECTIONS", "5"),
                ("TASKER__S3", "s3cret"),
            ],
        ),
        (vec![("base/database.toml", file.as_str())], vec![]),
        (
            vec![("base/database.toml", &file[..file.rfind("listen").unwrap()])],
            vec![],
        ),
    ] {
        let found = problems(&files, &variables);
        assert!(
            !found.is_empty() && !found.iter().any(|line| line.contains("s3cret")),
            "{found:#?}"
        );
    }
}

#[test]
fn an_unknown_environment_is_refused() {
    for (environment, expected) in [
        (
            "prod",
            "unknown environment \"prod\": expected test, development, production, or a folder",
        ),
        ("../etc", "\"../etc\" is not a name of letters"),
        ("", "\"\" is not a name of letters"),
    ] {
        let error = TaskerConfig::load_from_env(environment)
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with(&format!("environment variable TASKER_ENV: {expected}")),
            "{error}"
        );
    }
}

#[test]
fn a_folder_that_is_no_configuration_folder_is_refused() {
    let empty = folder(&[]);
    for path in [empty.path().to_owned(), empty.path().join("missing")] {
        let error = load(inputs("test", Some(&path), &[]))
            .unwrap_err()
            .to_string();
        let start = format!("{}: is not a configuration folder", path.display());
        assert!(error.starts_with(&start), "{error}");
    }
}
