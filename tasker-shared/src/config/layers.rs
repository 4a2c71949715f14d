//! The configuration files: those compiled into the binary, and those of a configuration folder.

use std::{fs, io, path::Path};

use super::{error::ConfigProblem, source::Source};

/// A file of a layer.
pub(super) struct LayerFile {
    pub(super) origin: Origin,
    pub(super) text: String,
}

/// Which file.
pub(super) enum Origin {
    /// Compiled in, by its name below `config/tasker`.
    BuiltIn(&'static str),
    /// In the folder, by its path.
    Folder(String),
}

impl Origin {
    /// A line of the file.
    pub(super) fn line(&self, line: usize) -> Source {
        match self {
            Self::BuiltIn(file) => Source::BuiltIn {
                file: (*file).to_owned(),
                line,
            },
            Self::Folder(path) => Source::File {
                path: path.clone(),
                line,
            },
        }
    }
}

/// A file below `config/tasker`, with its text.
macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../config/tasker/", $name)))),*]
    };
}

/// Names and texts of files.
type BuiltIn = &'static [(&'static str, &'static str)];

/// Every key with its default and its documentation.
const BASE: BuiltIn = built_in![
    "base/database.toml",
    "base/orchestration.toml",
    "base/worker.toml",
    "base/web.toml",
    "base/event_systems.toml",
    "base/statistics.toml",
    "base/retention.toml",
    "base/telemetry.toml",
    "base/mpsc_channels.toml",
];

/// What differs by environment. They are compiled in too, so that `TASKER_ENV=production` means
/// the same where there is no folder.
const ENVIRONMENTS: &[(&str, BuiltIn)] = &[
    ("test", built_in!["environments/test/mpsc_channels.toml"]),
    (
        "development",
        built_in!["environments/development/mpsc_channels.toml"],
    ),
    (
        "production",
        built_in![
            "environments/production/database.toml",
            "environments/production/mpsc_channels.toml",
            "environments/production/telemetry.toml",
        ],
    ),
];

/// The names of the environments compiled in.
pub(super) fn built_in_environments() -> impl Iterator<Item = &'static str> {
    ENVIRONMENTS.iter().map(|(name, _)| *name)
}

/// The base files compiled in.
pub(super) fn built_in_base() -> Vec<LayerFile> {
    files(BASE)
}

/// The files compiled in for `environment`; none if it is not known.
pub(super) fn built_in_environment(environment: &str) -> Vec<LayerFile> {
    let known = ENVIRONMENTS.iter().find(|(name, _)| *name == environment);
    known
        .map(|(_, built_in)| files(built_in))
        .unwrap_or_default()
}

fn files(built_in: BuiltIn) -> Vec<LayerFile> {
    let file = |(name, text): &(&'static str, &str)| LayerFile {
        origin: Origin::BuiltIn(name),
        text: (*text).to_owned(),
    };
    built_in.iter().map(file).collect()
}

/// The TOML files in `folder`, by name; none if there is no such folder.
pub(super) fn folder(folder: &Path) -> Result<Vec<LayerFile>, ConfigProblem> {
    let cannot_read = |path: &Path, error: &io::Error| {
        ConfigProblem::new(path.display(), format!("cannot be read: {error}"))
    };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(cannot_read(folder, &error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| cannot_read(folder, &error))?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            paths.push(path);
        }
    }
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let text = fs::read_to_string(path).map_err(|error| cannot_read(path, &error))?;
        Ok(LayerFile {
            origin: Origin::Folder(path.display().to_string()),
            text,
        })
    };
    paths.iter().map(read).collect()
}
