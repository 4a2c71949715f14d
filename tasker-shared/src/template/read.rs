//! Turns the tree of a document into a template, with every default filled in.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::error::{Mistakes, Path, shortened};
use super::fields::{Fields, boolean, did_you_mean, integer, list, text, wrong_type};
use super::graph::{self, StepPlaces};
use super::node::{Content, Node, Place};
use super::{
    Backoff, DependencyResults, MAX_STEPS, RetryPolicy, Step, Template, builtins, input_schema,
    retention, search,
};

/// The keys of a template.
pub(super) const TEMPLATE_KEYS: [&str; 9] = [
    "namespace",
    "name",
    "version",
    "description",
    "input_schema",
    "defaults",
    "retention",
    "search",
    "steps",
];

/// The keys of `defaults`.
pub(super) const DEFAULTS_KEYS: [&str; 2] = ["retry", "timeout_ms"];

/// The keys of a step.
pub(super) const STEP_KEYS: [&str; 7] = [
    "name",
    "handler",
    "depends_on",
    "input",
    "retry",
    "timeout_ms",
    "dependency_results",
];

/// The keys of `retry`.
pub(super) const RETRY_KEYS: [&str; 5] = ["max_attempts", "backoff", "base_ms", "max_ms", "jitter"];

/// Attempts of one step.
pub(super) const MAX_ATTEMPTS: RangeInclusive<u64> = 1..=1_000;

/// The delay before the first retry: up to a day.
pub(super) const BASE_MS: RangeInclusive<u64> = 0..=86_400_000;

/// The longest delay: up to a week.
pub(super) const MAX_MS: RangeInclusive<u64> = 0..=604_800_000;

/// The time an attempt may take: up to a day.
pub(super) const TIMEOUT_MS: RangeInclusive<u64> = 10..=86_400_000;

/// The largest part of a version, so that versions compare as numbers of 32 bits.
const MAX_VERSION_PART: u32 = 999_999;

/// The longest namespace: names of queues are made of it, and PostgreSQL bounds those.
const MAX_NAMESPACE: usize = 29;

/// The longest name of a template or a step.
const MAX_NAME: usize = 64;

/// How much of a wrong name a message quotes, in characters.
const MAX_QUOTED: usize = 80;

/// What a step has that does not say otherwise.
#[derive(Clone, Copy)]
pub(super) struct Defaults {
    pub(super) retry: RetryPolicy,
    pub(super) timeout_ms: u64,
}

/// What a step has where neither it nor the template's `defaults` says otherwise.
pub(super) const BUILT_IN_DEFAULTS: Defaults = Defaults {
    retry: RetryPolicy {
        max_attempts: 3,
        backoff: Backoff::Exponential,
        base_ms: 500,
        max_ms: 60_000,
        jitter: true,
    },
    timeout_ms: 30_000,
};

/// The template that `root` describes; worthless if there are mistakes.
pub(super) fn template(root: &Node, mistakes: &mut Mistakes) -> Option<Template> {
    let path = &Path::Root;
    let fields = Fields::of(root, path, &TEMPLATE_KEYS, mistakes)?;
    let namespace = fields.require("namespace", path, mistakes);
    let name = fields.require("name", path, mistakes);
    let version = fields.require("version", path, mistakes);
    let steps = fields.require("steps", path, mistakes);
    let mut defaults = BUILT_IN_DEFAULTS;
    if let Some(node) = fields.get("defaults") {
        read_defaults(node, &path.key("defaults"), &mut defaults, mistakes);
    }
    Some(Template {
        namespace: read_name(namespace, &path.key("namespace"), MAX_NAMESPACE, mistakes),
        name: read_name(name, &path.key("name"), MAX_NAME, mistakes),
        version: read_version(version, &path.key("version"), mistakes),
        description: fields
            .get("description")
            .and_then(|node| text(node, &path.key("description"), mistakes))
            .map(ToOwned::to_owned),
        input_schema: fields
            .get("input_schema")
            .and_then(|node| read_input_schema(node, &path.key("input_schema"), mistakes)),
        retention: fields
            .get("retention")
            .and_then(|node| retention::read(node, &path.key("retention"), mistakes))
            .unwrap_or_default(),
        search: fields
            .get("search")
            .map(|node| search::read(node, &path.key("search"), mistakes))
            .unwrap_or_default(),
        steps: steps
            .map(|node| read_steps(node, &path.key("steps"), defaults, mistakes))
            .unwrap_or_default(),
    })
}

fn read_defaults(
    node: &Node,
    path: &Path<'_>,
    defaults: &mut Defaults,
    mistakes: &mut Mistakes,
) -> Option<()> {
    let fields = Fields::of(node, path, &DEFAULTS_KEYS, mistakes)?;
    if let Some(node) = fields.get("retry") {
        read_retry(node, &path.key("retry"), &mut defaults.retry, mistakes);
    }
    if let Some(node) = fields.get("timeout_ms") {
        let timeout_ms = integer(node, &path.key("timeout_ms"), TIMEOUT_MS, mistakes);
        defaults.timeout_ms = timeout_ms.unwrap_or(defaults.timeout_ms);
    }
    Some(())
}

fn read_steps(
    node: &Node,
    path: &Path<'_>,
    defaults: Defaults,
    mistakes: &mut Mistakes,
) -> Vec<Step> {
    let nodes = list(node, path, mistakes).unwrap_or_default();
    if nodes.is_empty() && matches!(node.content, Content::List(_)) {
        mistakes.add(node.place, path, "a template needs at least one step");
    }
    if let Some(beyond) = nodes.get(MAX_STEPS) {
        let message = format!("{} steps; at most {MAX_STEPS} are accepted", nodes.len());
        mistakes.add(beyond.place, path, message);
        return Vec::new();
    }
    let mut steps = Vec::with_capacity(nodes.len());
    let mut places = Vec::with_capacity(nodes.len());
    for (index, node) in nodes.iter().enumerate() {
        let (step, step_places) = read_step(node, &path.index(index), defaults, mistakes);
        steps.push(step);
        places.push(step_places);
    }
    graph::check(&steps, &places, path, mistakes);
    steps
}

fn read_step(
    node: &Node,
    path: &Path<'_>,
    defaults: Defaults,
    mistakes: &mut Mistakes,
) -> (Step, StepPlaces) {
    let mut places = StepPlaces {
        name: node.place,
        depends_on: Vec::new(),
    };
    let mut step = Step {
        name: String::new(),
        handler: String::new(),
        depends_on: Vec::new(),
        input: Value::Object(Map::new()),
        retry: defaults.retry,
        timeout_ms: defaults.timeout_ms,
        dependency_results: DependencyResults::Inline,
    };
    let Some(fields) = Fields::of(node, path, &STEP_KEYS, mistakes) else {
        return (step, places);
    };
    let name = fields.require("name", path, mistakes);
    places.name = name.map_or(node.place, |name| name.place);
    step.name = read_name(name, &path.key("name"), MAX_NAME, mistakes);
    let handler = fields.require("handler", path, mistakes);
    step.handler = read_handler(handler, &path.key("handler"), mistakes);
    if let Some(node) = fields.get("depends_on") {
        let path = &path.key("depends_on");
        for (index, node) in list(node, path, mistakes)
            .unwrap_or_default()
            .iter()
            .enumerate()
        {
            if let Some(name) = text(node, &path.index(index), mistakes) {
                step.depends_on.push(name.to_owned());
                places.depends_on.push((index, node.place));
            }
        }
    }
    let input = fields.get("input");
    if let Some(handler) = handler {
        builtins::check(handler, input, path, mistakes);
    }
    if let Some(node) = input {
        match node.content {
            Content::Mapping(_) => step.input = node.to_json(),
            _ => wrong_type(node, &path.key("input"), "a mapping", mistakes),
        }
    }
    if let Some(node) = fields.get("retry") {
        read_retry(node, &path.key("retry"), &mut step.retry, mistakes);
    }
    if let Some(node) = fields.get("timeout_ms") {
        let timeout_ms = integer(node, &path.key("timeout_ms"), TIMEOUT_MS, mistakes);
        step.timeout_ms = timeout_ms.unwrap_or(step.timeout_ms);
    }
    if let Some(node) = fields.get("dependency_results") {
        let results = read_dependency_results(node, &path.key("dependency_results"), mistakes);
        step.dependency_results = results.unwrap_or(step.dependency_results);
    }
    (step, places)
}

fn read_dependency_results(
    node: &Node,
    path: &Path<'_>,
    mistakes: &mut Mistakes,
) -> Option<DependencyResults> {
    let name = text(node, path, mistakes)?;
    let found = DependencyResults::ALL
        .into_iter()
        .find(|results| results.as_str() == name);
    if found.is_none() {
        let message = format!("`{}` is no way to get results", shortened(name, MAX_QUOTED));
        mistakes.add_with_hint(node.place, path, message, || {
            let known = DependencyResults::ALL.map(DependencyResults::as_str);
            let hint = "inline (the handler is given them) or on_request (it asks for each)";
            Some(did_you_mean(name, known.into_iter()).unwrap_or_else(|| hint.to_owned()))
        });
    }
    found
}

fn read_retry(
    node: &Node,
    path: &Path<'_>,
    policy: &mut RetryPolicy,
    mistakes: &mut Mistakes,
) -> Option<()> {
    let fields = Fields::of(node, path, &RETRY_KEYS, mistakes)?;
    if let Some(node) = fields.get("max_attempts") {
        let attempts = integer(node, &path.key("max_attempts"), MAX_ATTEMPTS, mistakes);
        let attempts = attempts.and_then(|attempts| u32::try_from(attempts).ok());
        policy.max_attempts = attempts.unwrap_or(policy.max_attempts);
    }
    if let Some(node) = fields.get("backoff") {
        let backoff = read_backoff(node, &path.key("backoff"), mistakes);
        policy.backoff = backoff.unwrap_or(policy.backoff);
    }
    let base = fields.get("base_ms");
    if let Some(node) = base {
        let base_ms = integer(node, &path.key("base_ms"), BASE_MS, mistakes);
        policy.base_ms = base_ms.unwrap_or(policy.base_ms);
    }
    let max = fields.get("max_ms");
    if let Some(node) = max {
        let max_ms = integer(node, &path.key("max_ms"), MAX_MS, mistakes);
        policy.max_ms = max_ms.unwrap_or(policy.max_ms);
    }
    if let Some(node) = fields.get("jitter") {
        let jitter = boolean(node, &path.key("jitter"), mistakes);
        policy.jitter = jitter.unwrap_or(policy.jitter);
    }
    if let Some(place) = max.or(base).map(|node| node.place) {
        refuse_crossed_delays(*policy, place, path, mistakes);
    }
    Some(())
}

fn refuse_crossed_delays(
    policy: RetryPolicy,
    place: Place,
    path: &Path<'_>,
    mistakes: &mut Mistakes,
) {
    let RetryPolicy {
        base_ms, max_ms, ..
    } = policy;
    if max_ms < base_ms {
        let message = format!("max_ms ({max_ms}) is less than base_ms ({base_ms})");
        mistakes.add_with_hint(place, path, message, || {
            Some(
                "what is not given comes from `defaults`, else base_ms is 500, max_ms 60000".into(),
            )
        });
    }
}

fn read_backoff(node: &Node, path: &Path<'_>, mistakes: &mut Mistakes) -> Option<Backoff> {
    let name = text(node, path, mistakes)?;
    let backoff = Backoff::ALL
        .into_iter()
        .find(|backoff| backoff.as_str() == name);
    if backoff.is_none() {
        let message = format!("unknown backoff `{name}`");
        mistakes.add_with_hint(node.place, path, message, || {
            Some("fixed, linear or exponential".to_owned())
        });
    }
    backoff
}

fn read_name(
    node: Option<&Node>,
    path: &Path<'_>,
    max_length: usize,
    mistakes: &mut Mistakes,
) -> String {
    let Some((node, name)) = node.and_then(|node| Some((node, text(node, path, mistakes)?))) else {
        return String::new();
    };
    if !is_name(name, max_length) {
        let message = format!("`{}` is not a name", shortened(name, MAX_QUOTED));
        mistakes.add_with_hint(node.place, path, message, || {
            Some(format!(
                "a-z, then a-z, 0-9 and _; at most {max_length} characters"
            ))
        });
    }
    name.to_owned()
}

/// Whether this names a namespace, there or not.
pub fn is_namespace(name: &str) -> bool {
    is_name(name, MAX_NAMESPACE)
}

/// Whether a template may be called so.
pub fn is_template_name(name: &str) -> bool {
    is_name(name, MAX_NAME)
}

/// Whether this is a version of three numbers.
pub fn is_version(text: &str) -> bool {
    text.split('.').count() == 3 && text.split('.').all(is_version_part)
}

fn is_name(name: &str, max_length: usize) -> bool {
    name.len() <= max_length
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

fn read_handler(node: Option<&Node>, path: &Path<'_>, mistakes: &mut Mistakes) -> String {
    let Some((node, name)) = node.and_then(|node| Some((node, text(node, path, mistakes)?))) else {
        return String::new();
    };
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let first = name.bytes().next().is_some_and(is_word);
    let rest = name
        .bytes()
        .all(|byte| is_word(byte) || b".:/-".contains(&byte));
    if !first || !rest || name.len() > 128 {
        let message = format!(
            "`{}` is not the name of a handler",
            shortened(name, MAX_QUOTED)
        );
        mistakes.add_with_hint(node.place, path, message, || {
            Some("letters, digits, _ and . : / - behind the first; at most 128 characters".into())
        });
    }
    name.to_owned()
}

fn read_version(node: Option<&Node>, path: &Path<'_>, mistakes: &mut Mistakes) -> String {
    let Some(node) = node else {
        return String::new();
    };
    let hint = || Some(format!("as in 1.0.0; no part above {MAX_VERSION_PART}"));
    let Some(version) = node.as_text() else {
        let message = format!("expected a version of three numbers, found {}", node.kind());
        mistakes.add_with_hint(node.place, path, message, hint);
        return String::new();
    };
    if !is_version(version) {
        let message = format!(
            "`{}` is not a version of three numbers",
            shortened(version, MAX_QUOTED)
        );
        mistakes.add_with_hint(node.place, path, message, hint);
    }
    version.to_owned()
}

/// Whether `part` is written the only way its number can be: `01` would be another text for the
/// version that `1` names.
fn is_version_part(part: &str) -> bool {
    part.bytes().all(|byte| byte.is_ascii_digit())
        && (part == "0" || !part.starts_with('0'))
        && part
            .parse::<u32>()
            .is_ok_and(|number| number <= MAX_VERSION_PART)
}

fn read_input_schema(node: &Node, path: &Path<'_>, mistakes: &mut Mistakes) -> Option<Value> {
    if !matches!(node.content, Content::Mapping(_)) {
        wrong_type(node, path, "a mapping (a JSON Schema)", mistakes);
        return None;
    }
    input_schema::check(node, path, mistakes);
    Some(node.to_json())
}
