//! Loading: the layers in order, then the checks, then one report of everything that is wrong.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
};

use serde::Serialize;
use toml::Value;

use super::{
    TaskerConfig,
    error::{ConfigError, ConfigProblem},
    layers,
    merge::{Merged, leaf_keys, lookup},
    source::Source,
    variables,
};

const DEFAULT_ENVIRONMENT: &str = "development";
const DEFAULT_FOLDER: &str = "config/tasker";

/// Keys whose value must not be below that of another.
const NOT_BELOW: [(&str, &str); 5] = [
    ("database.call_timeout_ms", "database.statement_timeout_ms"),
    (
        "event_systems.listener.reconnect_max_ms",
        "event_systems.listener.reconnect_min_ms",
    ),
    (
        "event_systems.supervisor.restart_max_ms",
        "event_systems.supervisor.restart_min_ms",
    ),
    ("web.max_page_size", "web.default_page_size"),
    ("web.max_request_bytes_in_flight", "web.max_request_bytes"),
];

/// What a configuration is loaded from.
#[derive(Debug, Clone, Default)]
pub struct ConfigInputs {
    /// The name of the environment: test, development, production, or one of the folder's own.
    pub environment: String,
    /// The configuration folder, with `base` and `environments`.
    pub folder: Option<PathBuf>,
    /// Environment variables; those that do not concern configuration are ignored.
    pub variables: BTreeMap<String, String>,
}

/// A configuration, and where each of its values was written.
#[derive(Debug, Clone)]
pub struct LoadedConfig {
    /// The configuration.
    pub config: TaskerConfig,
    /// Where each value was written, by dotted key.
    pub sources: BTreeMap<String, Source>,
    /// What it was loaded from.
    pub environment: String,
    /// The configuration folder, if there was one.
    pub folder: Option<PathBuf>,
    settings: Vec<Setting>,
}

/// One key with its value in effect, for `tasker config show`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Setting {
    /// The dotted key.
    pub key: String,
    /// The value, passwords masked. `Display` writes it as TOML.
    pub value: Value,
    /// Where it was written.
    pub source: Source,
}

impl ConfigInputs {
    /// The environment alone, without folder and variables.
    pub fn of_environment(environment: &str) -> Self {
        Self {
            environment: environment.to_owned(),
            ..Self::default()
        }
    }

    /// What this process was given: `TASKER_ENV`, `TASKER_CONFIG_DIR` or `./config/tasker`, and the
    /// other environment variables.
    pub fn of_process() -> Result<Self, ConfigError> {
        let (mut variables, mut problems) = (BTreeMap::new(), Vec::new());
        for (name, value) in env::vars_os() {
            let Ok(name) = name.into_string() else {
                continue;
            };
            match value.into_string() {
                Ok(value) => drop(variables.insert(name, value)),
                Err(_) if variables::concerns(&name) => {
                    let place = Source::variable(&name);
                    problems.push(ConfigProblem::new(place, "is not UTF-8"));
                }
                Err(_) => {}
            }
        }
        if !problems.is_empty() {
            return Err(ConfigError { problems });
        }
        let given = |name: &str| variables.get(name).filter(|value| !value.is_empty());
        let environment = given("TASKER_ENV")
            .map_or(DEFAULT_ENVIRONMENT, String::as_str)
            .to_owned();
        let folder = given("TASKER_CONFIG_DIR")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(DEFAULT_FOLDER)).filter(|folder| folder.is_dir()));
        Ok(Self {
            environment,
            folder,
            variables,
        })
    }
}

impl TaskerConfig {
    /// The configuration of this process.
    pub fn load() -> Result<Self, ConfigError> {
        Ok(load(ConfigInputs::of_process()?)?.config)
    }

    /// The configuration compiled in for `environment`.
    pub fn load_from_env(environment: &str) -> Result<Self, ConfigError> {
        Ok(load(ConfigInputs::of_environment(environment))?.config)
    }
}

impl LoadedConfig {
    /// Every key with its value in effect and where it was written, passwords masked.
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }
}

/// Loads a configuration and checks it whole.
///
/// What is compiled in comes first, the folder's files win over it, environment variables over
/// those. An operator's folder therefore wins with every key it sets, and need not be complete.
pub fn load(inputs: ConfigInputs) -> Result<LoadedConfig, ConfigError> {
    let ConfigInputs {
        environment,
        folder,
        variables,
    } = inputs;
    let base = Merged::of_base(&layers::built_in_base());
    let mut merged = Merged::of_base(&layers::built_in_base());
    merged
        .problems
        .extend(check_environment(&environment, folder.as_deref()));
    merged.overlay_files(&layers::built_in_environment(&environment));
    if let Some(folder) = &folder {
        merged.problems.extend(check_folder(folder));
        for layer in [
            folder.join("base"),
            folder.join("environments").join(&environment),
        ] {
            match layers::folder(&layer) {
                Ok(files) => merged.overlay_files(&files),
                Err(problem) => merged.problems.push(problem),
            }
        }
    }
    variables::overlay(&mut merged, &variables);

    // Looked for in what was written: reading puts base values in the place of what it refuses.
    let contradictions = contradictions(&merged);
    let config = deserialize(&mut merged, &base);
    merged.problems.extend(contradictions);
    if let Some(reason) = config.as_ref().and_then(TaskerConfig::why_unable_to_listen) {
        merged.refuse("database.listen_url", reason);
    }
    if let Some(reason) = config
        .as_ref()
        .and_then(TaskerConfig::why_unable_to_archive)
    {
        merged.refuse("retention.archive_folder", reason);
    }
    match config {
        Some(config) if merged.problems.is_empty() => {
            let settings = settings(&merged);
            Ok(LoadedConfig {
                config,
                sources: merged.sources,
                environment,
                folder,
                settings,
            })
        }
        _ => Err(ConfigError {
            problems: merged.problems,
        }),
    }
}

/// A misspelt environment must not silently mean the base values.
fn check_environment(environment: &str, folder: Option<&Path>) -> Option<ConfigProblem> {
    let place = Source::variable("TASKER_ENV");
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if environment.is_empty() || !environment.chars().all(allowed) {
        let message = format!("{environment:?} is not a name of letters, digits, _ and -");
        return Some(ConfigProblem::new(place, message));
    }
    let in_folder =
        folder.is_some_and(|folder| folder.join("environments").join(environment).is_dir());
    if in_folder || layers::built_in_environments().any(|known| known == environment) {
        return None;
    }
    let known = layers::built_in_environments()
        .collect::<Vec<_>>()
        .join(", ");
    let message = format!(
        "unknown environment {environment:?}: expected {known}, or a folder of that name under \
         environments in the configuration folder"
    );
    Some(ConfigProblem::new(place, message))
}

fn check_folder(folder: &Path) -> Option<ConfigProblem> {
    if ["base", "environments"]
        .iter()
        .any(|part| folder.join(part).is_dir())
    {
        return None;
    }
    let message = "is not a configuration folder: expected base or environments in it \
                   (TASKER_CONFIG_DIR says where it is)";
    Some(ConfigProblem::new(folder.display(), message))
}

/// The structs. A value that does not fit is noted and replaced by the base value, so that the
/// others are looked at as well.
fn deserialize(merged: &mut Merged, base: &Merged) -> Option<TaskerConfig> {
    for _ in 0..=leaf_keys(&base.values).len() {
        let values = Value::Table(merged.values.clone());
        let error = match serde_path_to_error::deserialize::<_, TaskerConfig>(values) {
            Ok(config) => return Some(config),
            Err(error) => error,
        };
        let path = error.path().to_string();
        // A list is one value: what is wrong with an item of it is the list's problem.
        let key = path.split('[').next().unwrap_or(&path);
        let message = in_plain_words(error.inner().message());
        merged.refuse(key, message);
        merged.restore(key, base);
    }
    None
}

/// Says ranges instead of Rust's names of types.
fn in_plain_words(message: &str) -> String {
    let message = message.trim();
    let Some((start, rust)) = message.rsplit_once("expected ") else {
        return message.to_owned();
    };
    let range = match rust {
        "u32" => format!("from 0 to {}", u32::MAX),
        "i32" => format!("up to {}", i32::MAX),
        "u64" | "usize" => "that is not negative".to_owned(),
        _ => return message.to_owned(),
    };
    format!("{start}expected a whole number {range}")
}

/// Values that are each allowed but do not go together.
fn contradictions(merged: &Merged) -> Vec<ConfigProblem> {
    let number = |key| lookup(&merged.values, key).and_then(Value::as_integer);
    let contradiction = |(key, other)| {
        let (value, least) = (number(key)?, number(other)?);
        let message = format!("{value} is refused: lower than {other}, which is {least}");
        (value < least).then(|| ConfigProblem::at_key(merged.place(key), key, message))
    };
    NOT_BELOW.into_iter().filter_map(contradiction).collect()
}

fn settings(merged: &Merged) -> Vec<Setting> {
    let setting = |key: String| {
        let value = merged.printable(&key)?;
        let source = merged.sources.get(&key)?.clone();
        Some(Setting { key, value, source })
    };
    leaf_keys(&merged.values)
        .into_iter()
        .filter_map(setting)
        .collect()
}
