//! Layers laid over each other: later values win, and each remembers where it was written.
//!
//! The base layer decides which keys there are and which kind of value each takes. What does not
//! fit is noted as a problem and left out, so that one look finds every problem.

use std::collections::BTreeMap;

use toml::{
    Spanned, Table, Value,
    de::{DeTable, DeValue},
};

use super::{error::ConfigProblem, layers::LayerFile, source::Source};
use crate::channel::policy;

/// Values whose text may hold a password.
const SECRETS: [&str; 2] = ["database.url", "database.listen_url"];

/// The table whose keys are names of namespaces, and the table that has the keys of each of them, of
/// which any may be left out.
const BY_NAMESPACE: (&str, &str) = ("retention.namespaces", "retention");

/// Which of those keys a namespace can have.
const OF_NAMESPACE: [&str; 4] = [
    "complete_days",
    "error_days",
    "cancelled_days",
    "resolved_manually_days",
];

/// Values and where they were written, after some layers.
#[derive(Default)]
pub(super) struct Merged {
    pub(super) values: Table,
    pub(super) sources: BTreeMap<String, Source>,
    pub(super) problems: Vec<ConfigProblem>,
}

impl Merged {
    /// The values of the base files, which declare the keys.
    pub(super) fn of_base(files: &[LayerFile]) -> Self {
        let mut base = Self::default();
        for file in files {
            let Some((table, lines)) = base.parse(file) else {
                continue;
            };
            base.values.extend(table);
            base.sources.extend(
                lines
                    .into_iter()
                    .map(|(key, line)| (key, file.origin.line(line))),
            );
        }
        base
    }

    /// Lays the files of one layer over what is there.
    pub(super) fn overlay_files(&mut self, files: &[LayerFile]) {
        let mut set: BTreeMap<String, Source> = BTreeMap::new();
        for file in files {
            let Some((table, lines)) = self.parse(file) else {
                continue;
            };
            for (key, line) in &lines {
                let source = file.origin.line(*line);
                let Some(value) = lookup(&table, key) else {
                    continue;
                };
                if let Some(other) = set.get(key).filter(|_| !value.is_table()) {
                    let message = format!("is set twice, also in {other}");
                    self.problems
                        .push(ConfigProblem::at_key(&source, key, message));
                    continue;
                }
                set.insert(key.clone(), source.clone());
            }
            self.overlay_table("", &table, &|key| {
                file.origin.line(lines.get(key).copied().unwrap_or(1))
            });
        }
    }

    /// Lays one value over what is there.
    pub(super) fn overlay(&mut self, key: &str, value: &Value, source: &Source) {
        self.overlay_value(key, value, &|_| source.clone());
    }

    /// Puts the value of `base` back where `key` has one that cannot be used; where there is none, what
    /// is at `key` goes.
    pub(super) fn restore(&mut self, key: &str, base: &Self) {
        if let (Some(place), Some(value)) =
            (lookup_mut(&mut self.values, key), lookup(&base.values, key))
        {
            *place = value.clone();
            return;
        }
        if let Some((around, name)) = key.rsplit_once('.')
            && let Some(Value::Table(table)) = lookup_mut(&mut self.values, around)
        {
            table.remove(name);
        }
    }

    /// Notes a problem of the value at `key`.
    pub(super) fn refuse(&mut self, key: &str, message: String) {
        self.problems
            .push(ConfigProblem::at_key(self.place(key), key, message));
    }

    /// The value at `key`, as it can be printed.
    pub(super) fn printable(&self, key: &str) -> Option<Value> {
        let value = lookup(&self.values, key)?;
        Some(match value {
            Value::String(text) if SECRETS.contains(&key) => {
                Value::String(super::DatabaseUrl::from(text.as_str()).masked())
            }
            other => other.clone(),
        })
    }

    /// Where the value at `key`, or the nearest table around it, was written.
    pub(super) fn place(&self, key: &str) -> String {
        let mut key = key;
        loop {
            if let Some(source) = self.sources.get(key) {
                return source.to_string();
            }
            match key.rsplit_once('.') {
                Some((around, _)) => key = around,
                None => return "configuration".to_owned(),
            }
        }
    }

    fn overlay_table(&mut self, prefix: &str, table: &Table, source: &dyn Fn(&str) -> Source) {
        for (name, value) in table {
            self.overlay_value(&below(prefix, name), value, source);
        }
    }

    fn overlay_value(&mut self, key: &str, value: &Value, source: &dyn Fn(&str) -> Source) {
        self.declare_namespace(key);
        let problem = match (lookup(&self.values, key), value) {
            (None, _) => self.unknown_key(key),
            (Some(Value::Table(_)), Value::Table(table)) => {
                return self.overlay_table(key, table, source);
            }
            (Some(Value::Table(known)), _) => {
                format!(
                    "expected a table with the keys {}, found {}",
                    names(known),
                    kind(value)
                )
            }
            (Some(current), _) => match fitted(current, value) {
                Some(fitted) => {
                    if let Some(place) = lookup_mut(&mut self.values, key) {
                        *place = fitted;
                    }
                    self.sources.insert(key.to_owned(), source(key));
                    return;
                }
                None => format!(
                    "expected {}, found {}",
                    kind(current),
                    described(key, value)
                ),
            },
        };
        self.problems
            .push(ConfigProblem::at_key(source(key), key, problem));
    }

    /// Makes a place for a namespace, or for a key of it, with the value of the table that has the keys:
    /// what a file or a variable sets there need not be in the base files.
    fn declare_namespace(&mut self, key: &str) {
        let (all, keys) = BY_NAMESPACE;
        let Some(below) = key.strip_prefix(all).and_then(|it| it.strip_prefix('.')) else {
            return;
        };
        let (namespace, name) = match below.split_once('.') {
            Some((namespace, name)) if OF_NAMESPACE.contains(&name) => (namespace, Some(name)),
            Some(_) => return,
            None => (below, None),
        };
        let default =
            name.and_then(|name| lookup(&self.values, &format!("{keys}.{name}")).cloned());
        let Some(Value::Table(namespaces)) = lookup_mut(&mut self.values, all) else {
            return;
        };
        let namespace = namespaces
            .entry(namespace)
            .or_insert_with(|| Value::Table(Table::new()));
        if let (Value::Table(table), Some(name), Some(default)) = (namespace, name, default) {
            table.entry(name).or_insert(default);
        }
    }

    fn unknown_key(&self, key: &str) -> String {
        if lookup(&self.values, &format!("mpsc_channels.{key}")).is_some() {
            return format!(
                "unknown key; sizes of channels need the full prefix: [mpsc_channels.{key}]"
            );
        }
        if let Some(reason) = policy::why_not_declared(key) {
            return format!("unknown key; {reason}");
        }
        let known = match key.rsplit_once('.') {
            Some((around, _)) if around.starts_with(BY_NAMESPACE.0) => {
                return format!("unknown key; expected one of {}", OF_NAMESPACE.join(", "));
            }
            Some((around, _)) => lookup(&self.values, around).and_then(Value::as_table),
            None => Some(&self.values),
        };
        format!(
            "unknown key; expected one of {}",
            known.map(names).unwrap_or_default()
        )
    }

    /// The values of a file and the line of each key; problems are noted.
    fn parse(&mut self, file: &LayerFile) -> Option<(Table, BTreeMap<String, usize>)> {
        let line_at = |offset: usize| 1 + file.text[..offset].matches('\n').count();
        let (spanned, mut errors) = DeTable::parse_recoverable(&file.text);
        let table = file.text.parse::<Table>();
        errors.extend(table.as_ref().err().cloned().filter(|_| errors.is_empty()));
        for error in &errors {
            let start = error.span().map_or(0, |span| span.start);
            let line = line_at(start.min(file.text.len()));
            let message = format!("not valid TOML: {}", error.message().trim());
            self.problems
                .push(ConfigProblem::new(file.origin.line(line), message));
        }
        let mut lines = BTreeMap::new();
        collect_lines("", spanned.get_ref(), &line_at, &mut lines);
        Some((table.ok()?, lines))
    }
}

/// The dotted key of what has this name in the table at `prefix`, which is empty at the top.
fn below(prefix: &str, name: &str) -> String {
    if prefix.is_empty() {
        return name.to_owned();
    }
    format!("{prefix}.{name}")
}

fn collect_lines(
    prefix: &str,
    table: &DeTable<'_>,
    line_at: &dyn Fn(usize) -> usize,
    lines: &mut BTreeMap<String, usize>,
) {
    for (name, value) in table {
        let key = below(prefix, name.get_ref());
        lines.insert(key.clone(), line_at(Spanned::span(name).start));
        if let DeValue::Table(inner) = value.get_ref() {
            collect_lines(&key, inner, line_at, lines);
        }
    }
}

/// The value at a dotted key.
pub(super) fn lookup<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    match key.split_once('.') {
        Some((first, rest)) => lookup(table.get(first)?.as_table()?, rest),
        None => table.get(key),
    }
}

fn lookup_mut<'a>(table: &'a mut Table, key: &str) -> Option<&'a mut Value> {
    match key.split_once('.') {
        Some((first, rest)) => lookup_mut(table.get_mut(first)?.as_table_mut()?, rest),
        None => table.get_mut(key),
    }
}

/// The dotted keys of all values that are not tables.
pub(super) fn leaf_keys(table: &Table) -> Vec<String> {
    let mut keys = Vec::new();
    for (name, value) in table {
        match value {
            Value::Table(inner) => {
                keys.extend(
                    leaf_keys(inner)
                        .into_iter()
                        .map(|key| format!("{name}.{key}")),
                );
            }
            _ => keys.push(name.clone()),
        }
    }
    keys
}

/// `value` if it is of the kind of `current`; whole numbers become fractions where those are expected.
#[expect(
    clippy::cast_precision_loss,
    reason = "numbers of seconds are far below 2^52"
)]
fn fitted(current: &Value, value: &Value) -> Option<Value> {
    match (current, value) {
        (Value::Float(_), Value::Integer(number)) => Some(Value::Float(*number as f64)),
        _ if current.same_type(value) => Some(value.clone()),
        _ => None,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text in quotes",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date or time",
        Value::Array(_) => "a list in brackets",
        Value::Table(_) => "a table",
    }
}

/// What was found, with the value where it is short and no secret.
fn described(key: &str, value: &Value) -> String {
    match value {
        Value::Array(_) | Value::Table(_) => kind(value).to_owned(),
        _ if SECRETS.contains(&key) => kind(value).to_owned(),
        _ => value.to_string(),
    }
}

fn names(table: &Table) -> String {
    table
        .keys()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}
