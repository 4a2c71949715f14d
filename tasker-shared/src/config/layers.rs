//! The configuration files compiled into the binary, and those of a configuration folder.

/// The base files: every key with its default.
const BASE: &[(&str, &str)] = &[
    (
        "base/database.toml",
        include_str!("../../../config/tasker/base/database.toml"),
    ),
    (
        "base/orchestration.toml",
        include_str!("../../../config/tasker/base/orchestration.toml"),
    ),
    (
        "base/worker.toml",
        include_str!("../../../config/tasker/base/worker.toml"),
    ),
    (
        "base/web.toml",
        include_str!("../../../config/tasker/base/web.toml"),
    ),
    (
        "base/event_systems.toml",
        include_str!("../../../config/tasker/base/event_systems.toml"),
    ),
    (
        "base/telemetry.toml",
        include_str!("../../../config/tasker/base/telemetry.toml"),
    ),
    (
        "base/mpsc_channels.toml",
        include_str!("../../../config/tasker/base/mpsc_channels.toml"),
    ),
];

/// All base files as one table.
pub(super) fn base_table() -> toml::Table {
    let mut all = toml::Table::new();
    for (name, text) in BASE {
        let table: toml::Table = text
            .parse()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        all.extend(table);
    }
    all
}
