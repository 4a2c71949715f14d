//! What the arguments of commands refer to: files, standard input, JSON, names of templates.

use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::str::FromStr;
use std::string::FromUtf8Error;

use serde_json::Value;
use tasker_shared::namespace;
use tasker_shared::template::is_namespace;

use crate::failure::Failure;

/// The argument that stands for standard input.
const STANDARD_INPUT: &str = "-";
/// The largest text that is read: what the engine refuses anyway is not read into memory first.
const MOST_BYTES: u64 = 64 << 20;

/// What the reader of JSON says about more levels than it reads.
const TOO_DEEP: &str = "recursion limit exceeded";
/// Lists and objects within each other that it reads.
const MOST_LEVELS: usize = 127;

/// A text and where it was read.
#[derive(Debug)]
pub(crate) struct Source {
    /// The file, or what to call standard input.
    pub(crate) name: String,
    /// What it holds.
    pub(crate) text: String,
}

impl Source {
    /// Reads a file, or standard input where the path is `-`.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let (name, read) = if path == Path::new(STANDARD_INPUT) {
            ("standard input".to_owned(), limited(io::stdin().lock()))
        } else {
            let file = fs::File::open(path);
            (path.display().to_string(), file.and_then(limited))
        };
        let bytes =
            read.map_err(|error| Failure::new(format!("could not read {name}: {error}")))?;
        let text = String::from_utf8(bytes).map_err(|error| not_utf8(&name, &error))?;
        // Some editors begin a file with a mark of its encoding, which is no part of the text.
        let text = text
            .strip_prefix('\u{feff}')
            .map_or(text.clone(), str::to_owned);
        Ok(Self { name, text })
    }
}

fn limited(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(io::Error::other(format!(
            "it has more than {} MiB",
            MOST_BYTES >> 20
        )));
    }
    Ok(bytes)
}

/// Says where a text stops to be UTF-8.
fn not_utf8(name: &str, error: &FromUtf8Error) -> Failure {
    let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
    let line = before.split(|&byte| byte == b'\n').count();
    Failure::new(format!("{name} is not UTF-8: line {line} has other bytes"))
        .hint("save it as UTF-8, or convert it: iconv -f latin1 -t utf-8 FILE")
}

/// JSON from an argument: the JSON itself, `@file`, or `-` for standard input.
pub(crate) fn json(argument: &str, option: &str) -> Result<Value, Failure> {
    let source = match argument.strip_prefix('@') {
        Some(path) => Source::read(Path::new(path))?,
        None if argument == STANDARD_INPUT => Source::read(Path::new(argument))?,
        None => Source {
            name: option.to_owned(),
            text: argument.to_owned(),
        },
    };
    serde_json::from_str(&source.text).map_err(|error| {
        if error.to_string().starts_with(TOO_DEEP) {
            return Failure::new(format!(
                "{} is nested too deeply: at most {MOST_LEVELS} lists and objects within each other",
                source.name
            ))
            .hint("flatten it, or pass the inner part as text");
        }
        Failure::new(format!("{} is not JSON: {error}", source.name)).hint(format!(
            "{option} takes JSON, @FILE or - for standard input; quote JSON for the shell: \
             {option} '{{\"order_id\": 1}}'"
        ))
    })
}

/// A name that a namespace can have.
pub(crate) fn namespace(text: &str) -> Result<String, &'static str> {
    if is_namespace(text) {
        return Ok(text.to_owned());
    }
    Err(namespace::EXPECTED)
}

/// A template as the command line names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TemplateName {
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its name in the namespace.
    pub(crate) name: String,
    /// Its version; the highest where there is none.
    pub(crate) version: Option<String>,
}

impl FromStr for TemplateName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str =
            "expected NAMESPACE/NAME or NAMESPACE/NAME@VERSION, as in shop/order@1.0.0";
        let (path, version) = match text.split_once('@') {
            Some((path, version)) => (path, Some(version)),
            None => (text, None),
        };
        let (namespace, name) = path.split_once('/').ok_or(EXPECTED)?;
        let empty = [Some(namespace), Some(name), version]
            .into_iter()
            .flatten()
            .any(|part| part.is_empty() || part.contains('/'));
        if empty {
            return Err(EXPECTED);
        }
        Ok(Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            version: version.map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_named_with_or_without_a_version() {
        let name: TemplateName = "shop/order@1.2.3".parse().unwrap();
        assert_eq!(
            (name.namespace.as_str(), name.name.as_str()),
            ("shop", "order")
        );
        assert_eq!(name.version.as_deref(), Some("1.2.3"));
        assert_eq!("a/b".parse::<TemplateName>().unwrap().version, None);
    }

    #[test]
    fn half_a_name_is_refused() {
        for text in ["", "order", "/order", "shop/", "shop/order@", "a/b/c"] {
            assert!(text.parse::<TemplateName>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn wrong_json_says_how_to_write_it() {
        let failure = json("{order_id: 1}", "--context").unwrap_err();
        let Failure::Failed { what, hint } = failure else {
            panic!("{failure:?}");
        };
        assert!(
            what.starts_with("--context is not JSON: key must be a string"),
            "{what}"
        );
        assert!(hint.is_some_and(|hint| hint.contains("@FILE")));
    }

    #[test]
    fn json_that_is_too_deep_is_told_how_deep_it_may_be() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(json(&nested(MOST_LEVELS), "--context").is_ok());
        let failure = json(&nested(MOST_LEVELS + 1), "--context").unwrap_err();
        let Failure::Failed { what, .. } = failure else {
            panic!("{failure:?}");
        };
        assert!(what.contains("at most 127 lists and objects"), "{what}");
    }
}
