//! Problems of a configuration: each is found, names its place, and tells no secret.

use super::{
    load_tests::{folder, inputs, loaded_with},
    *,
};

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
         continuation_limit, deployment, ",
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
        ("WEB__MAX_REQUEST_BYTES_IN_FLIGHT", "2048"),
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
fn a_variable_with_one_underscore_too_few_is_refused_with_the_name_that_is_meant() {
    let found = problems(
        &[],
        &[
            ("TASKER_DATABASE__URL", "postgres://app:s3cret@db"),
            ("TASKER_MPSC_CHANNELS__X", "5"),
            ("TASKER_web__bind", ""),
        ],
    );
    assert_eq!(
        found,
        [
            "environment variable TASKER_DATABASE__URL: sets no key: write TASKER__DATABASE__URL, \
             with two underscores after TASKER",
            "environment variable TASKER_MPSC_CHANNELS__X: sets no key: write \
             TASKER__MPSC_CHANNELS__X, with two underscores after TASKER",
            "environment variable TASKER_web__bind: sets no key: write TASKER__WEB__BIND, with two \
             underscores after TASKER",
        ]
    );
}

#[test]
fn variables_that_name_no_section_are_left_to_others() {
    loaded_with(&[
        ("TASKER_ENV", "test"),
        ("TASKER_CONFIG_DIR", "/etc/tasker"),
        ("TASKER_PG_BIN", "/usr/lib/postgresql/17/bin"),
        ("TASKER_WEB", "1"),
        ("TASKER_WEB_PORT", "tcp://10.0.0.7:8080"),
        ("TASKER_WORKERS__X", "1"),
        ("TASKER_OTHER__WEB", "1"),
        ("MYTASKER_WEB__BIND", "1"),
        ("TASKER_", ""),
    ]);
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
            ("base/b.toml", "[worker]\nreporters = 1\nconcurrency = 2\n"),
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
             call_timeout_ms, channel_prefix, listen_url, max_connections, pooler, \
             statement_timeout_ms, unlogged_queues, url, found a whole number",
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

#[test]
fn what_looks_like_a_number_is_refused_for_what_it_says_and_not_for_its_type() {
    let refused = problems(&[], &[("DATABASE_URL", "12345"), ("NAMESPACE", "true,123")]);
    assert_eq!(
        problems(&[], &[("TASKER__WORKER__NAMESPACES", "[\"a\", 1, 2]")]),
        [
            "environment variable TASKER__WORKER__NAMESPACES: key worker.namespaces: invalid type: \
             integer `1`, expected a string"
        ]
    );
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
fn what_is_wrong_with_the_retention_of_a_namespace_is_named_once() {
    let found = problems(
        &[(
            "base/retention.toml",
            "[retention.namespaces.shop]\ncomplet_days = 7\nerror_days = \"long\"\n\
             [retention.namespaces.Shop]\nerror_days = 1\n\
             [retention.namespaces.late]\ncancelled_days = -3\n",
        )],
        &[("TASKER__RETENTION__ARCHIVE", "file")],
    );
    for expected in [
        "base/retention.toml:2: key retention.namespaces.shop.complet_days: unknown key; expected one of complete_days",
        "base/retention.toml:3: key retention.namespaces.shop.error_days: expected a whole number, found \"long\"",
        "base/retention.toml:7: key retention.namespaces.late.cancelled_days: ",
        "retention.archive_folder: is needed",
    ] {
        let named = found.iter().filter(|it| it.contains(expected));
        assert_eq!(named.count(), 1, "{expected}: {found:#?}");
    }
}
