//! Environment variables that set keys.
//!
//! `TASKER__A__B=value` sets key `a.b`. A few short names stand for keys that deployments set most;
//! where both are given, the long name wins because it is the more exact. A long name with one
//! underscore after `TASKER` is refused, because it would set nothing.

use std::collections::BTreeMap;

use toml::Value;

use super::{
    DeploymentMode,
    error::ConfigProblem,
    instance::host_name,
    merge::{Merged, lookup},
    source::Source,
};

const PREFIX: &str = "TASKER__";

/// Short names for keys that deployments set most.
const SHORT_NAMES: [&str; 5] = [
    "DATABASE_URL",
    "DEPLOYMENT_MODE",
    "INSTANCE_ID",
    "NAMESPACE",
    "POLL_INTERVAL_MS",
];

/// Stands for the name of the host or container in `INSTANCE_ID`, so that replicas made from one file
/// have names of their own.
const HOST: &str = "${HOSTNAME}";

/// Whether a variable of this name says something about the configuration.
pub(super) fn concerns(name: &str) -> bool {
    name.starts_with("TASKER_") || SHORT_NAMES.contains(&name)
}

/// Lays the values of environment variables over what is there.
pub(super) fn overlay(merged: &mut Merged, variables: &BTreeMap<String, String>) {
    // Deployment files often pass a variable on that is not set: empty means not given.
    let short = |name: &str| variables.get(name).filter(|value| !value.is_empty());

    if let Some(url) = short("DATABASE_URL") {
        set(merged, "DATABASE_URL", &["database.url"], &text(url));
    }
    if let Some(mode) = short("DEPLOYMENT_MODE") {
        let keys = ["orchestration.deployment.mode", "worker.deployment.mode"];
        match mode.parse::<DeploymentMode>() {
            Ok(_) => set(merged, "DEPLOYMENT_MODE", &keys, &text(mode)),
            Err(error) => refuse(merged, "DEPLOYMENT_MODE", error.to_string()),
        }
    }
    if let Some(name) = short("INSTANCE_ID") {
        set(
            merged,
            "INSTANCE_ID",
            &["orchestration.instance_id", "worker.instance_id"],
            &text(&name.replace(HOST, &host_name())),
        );
    }
    if let Some(names) = short("NAMESPACE") {
        set(merged, "NAMESPACE", &["worker.namespaces"], &list(names));
    }
    if let Some(interval) = short("POLL_INTERVAL_MS") {
        set_poll_interval(merged, interval);
    }
    for name in variables.keys() {
        if let Some(meant) = meant_by(merged, name) {
            let message = format!("sets no key: write {meant}, with two underscores after TASKER");
            refuse(merged, name, message);
        }
    }
    for (name, value) in variables {
        if let Some(path) = name.strip_prefix(PREFIX) {
            let key = path
                .split("__")
                .collect::<Vec<_>>()
                .join(".")
                .to_ascii_lowercase();
            let value = parsed(lookup(&merged.values, &key), value);
            set(merged, name, &[&key], &value);
        }
    }
}

/// The name that sets a key, where this one lacks an underscore after `TASKER` and names a section.
/// Every other name that starts like ours may belong to something else.
fn meant_by(merged: &Merged, name: &str) -> Option<String> {
    let key = name.strip_prefix("TASKER_")?;
    let (section, _) = key.split_once("__")?;
    let is_known = merged.values.contains_key(&section.to_ascii_lowercase());
    is_known.then(|| format!("{PREFIX}{}", key.to_ascii_uppercase()))
}

/// Milliseconds for both pollers; the orchestrator's key counts in seconds.
fn set_poll_interval(merged: &mut Merged, interval: &str) {
    const NAME: &str = "POLL_INTERVAL_MS";
    match interval.trim().parse::<u32>() {
        Ok(ms) if ms > 0 => {
            set(
                merged,
                NAME,
                &["worker.poll_interval_ms"],
                &Value::Integer(ms.into()),
            );
            let seconds = Value::Float(f64::from(ms) / 1000.0);
            let key = "orchestration.task_readiness.fallback_polling_interval_seconds";
            set(merged, NAME, &[key], &seconds);
        }
        _ => refuse(
            merged,
            NAME,
            format!("expected milliseconds, a whole number above 0, found {interval:?}"),
        ),
    }
}

fn set(merged: &mut Merged, name: &str, keys: &[&str], value: &Value) {
    for key in keys {
        merged.overlay(key, value, &Source::variable(name));
    }
}

fn refuse(merged: &mut Merged, name: &str, message: String) {
    let problem = ConfigProblem::new(Source::variable(name), message);
    merged.problems.push(problem);
}

/// `value` as the key takes it: TOML, or a bare text. Where a text is expected, what looks like a
/// number stays a text; where a list is expected, commas separate bare texts.
fn parsed(current: Option<&Value>, value: &str) -> Value {
    let as_toml = toml_value(value);
    match current {
        Some(Value::String(_)) => as_toml.filter(Value::is_str).unwrap_or_else(|| text(value)),
        Some(Value::Array(_)) => as_toml
            .filter(Value::is_array)
            .unwrap_or_else(|| list(value)),
        _ => as_toml.unwrap_or_else(|| text(value)),
    }
}

fn toml_value(value: &str) -> Option<Value> {
    // A line break could smuggle in further keys.
    if value.contains('\n') {
        return None;
    }
    let mut table = format!("value = {value}").parse::<toml::Table>().ok()?;
    table.remove("value")
}

fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

fn list(value: &str) -> Value {
    let names = value
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty());
    Value::Array(names.map(text).collect())
}
