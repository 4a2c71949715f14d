//! Reading single values out of a tree: what was expected, what was found, and how to mend it.

use std::ops::RangeInclusive;

use super::error::{Mistakes, Path};
use super::node::{Content, Key, Node, Place};

/// How many candidates a wrong word is compared with.
const MAX_CANDIDATES: usize = 2_000;

/// The longest word that is compared, in bytes; no name is longer.
const MAX_WORD: usize = 128;

/// The entries of a mapping whose keys are all known.
pub(super) struct Fields<'n> {
    place: Place,
    entries: &'n [(Key, Node)],
}

impl<'n> Fields<'n> {
    /// The entries of `node`; a node that is no mapping and keys that are not `known` are mistakes.
    pub(super) fn of(
        node: &'n Node,
        path: &Path<'_>,
        known: &[&str],
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        let Content::Mapping(entries) = &node.content else {
            wrong_type(node, path, "a mapping", mistakes);
            return None;
        };
        for (key, _) in entries {
            if !known.contains(&key.text.as_str()) {
                mistakes.add_with_hint(
                    key.place,
                    path,
                    format!("unknown key `{}`", key.text),
                    || {
                        let near = did_you_mean(&key.text, known.iter().copied());
                        Some(near.unwrap_or_else(|| format!("known keys: {}", known.join(", "))))
                    },
                );
            }
        }
        Some(Self {
            place: node.place,
            entries,
        })
    }

    /// The value of `key`, if the mapping has one.
    pub(super) fn get(&self, key: &str) -> Option<&'n Node> {
        self.entries
            .iter()
            .find(|(name, _)| name.text == key)
            .map(|(_, node)| node)
    }

    /// The value of `key`; its absence is a mistake.
    pub(super) fn require(
        &self,
        key: &str,
        path: &Path<'_>,
        mistakes: &mut Mistakes,
    ) -> Option<&'n Node> {
        let node = self.get(key);
        if node.is_none() {
            mistakes.add(self.place, path, format!("`{key}` is missing"));
        }
        node
    }
}

/// The text that `node` is.
pub(super) fn text<'n>(
    node: &'n Node,
    path: &Path<'_>,
    mistakes: &mut Mistakes,
) -> Option<&'n str> {
    let text = node.as_text();
    if text.is_none() {
        wrong_type(node, path, "text", mistakes);
    }
    text
}

/// The items of the list that `node` is.
pub(super) fn list<'n>(
    node: &'n Node,
    path: &Path<'_>,
    mistakes: &mut Mistakes,
) -> Option<&'n [Node]> {
    let Content::List(items) = &node.content else {
        wrong_type(node, path, "a list", mistakes);
        return None;
    };
    Some(items)
}

/// The boolean that `node` is.
pub(super) fn boolean(node: &Node, path: &Path<'_>, mistakes: &mut Mistakes) -> Option<bool> {
    let Content::Bool(value) = node.content else {
        wrong_type(node, path, "true or false", mistakes);
        return None;
    };
    Some(value)
}

/// The whole number in `range` that `node` is.
pub(super) fn integer(
    node: &Node,
    path: &Path<'_>,
    range: RangeInclusive<u64>,
    mistakes: &mut Mistakes,
) -> Option<u64> {
    let Content::Number(number) = &node.content else {
        wrong_type(node, path, "a whole number", mistakes);
        return None;
    };
    let value = number.as_u64().filter(|value| range.contains(value));
    if value.is_none() {
        let (least, most) = range.into_inner();
        let message = format!("{number} is not a whole number between {least} and {most}");
        mistakes.add(node.place, path, message);
    }
    value
}

/// Says that `node` is of another type than `expected`.
pub(super) fn wrong_type(node: &Node, path: &Path<'_>, expected: &str, mistakes: &mut Mistakes) {
    let message = format!("expected {expected}, found {}", node.kind());
    mistakes.add_with_hint(node.place, path, message, || {
        let quotable = matches!(node.content, Content::Bool(_) | Content::Number(_));
        match &node.content {
            _ if quotable && expected == "text" => Some("put it in quotes".to_owned()),
            Content::Text(text) if expected == "a list" => Some(format!("write [{text}]")),
            Content::Text(_) if expected.ends_with("number") => Some("without quotes".to_owned()),
            _ => None,
        }
    });
}

/// "did you mean …?" with the candidate that is nearest to `word`, if one is near.
pub(super) fn did_you_mean<'c>(
    word: &str,
    candidates: impl Iterator<Item = &'c str>,
) -> Option<String> {
    nearest(word, candidates).map(|nearest| format!("did you mean `{nearest}`?"))
}

/// The candidate that `word` was probably meant to be, if one is near.
///
/// Only the first candidates are looked at: a typing error is not worth a second of computing.
pub(crate) fn nearest<'c>(
    word: &str,
    candidates: impl Iterator<Item = &'c str>,
) -> Option<&'c str> {
    if word.len() > MAX_WORD {
        return None;
    }
    let most = (word.chars().count() / 3).max(1);
    let (distance, nearest) = candidates
        .take(MAX_CANDIDATES)
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= most)
        .map(|candidate| (strsim::osa_distance(word, candidate), candidate))
        .min()?;
    (distance <= most).then_some(nearest)
}
