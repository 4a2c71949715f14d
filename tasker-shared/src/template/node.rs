//! A document as a tree in which every node and every key knows its line and column.
//!
//! YAML and JSON both become this tree, so that one reader can look for mistakes in all of it and
//! report each of them where it is, instead of giving up at the first one.

use serde_json::{Number, Value};

/// A place in a document, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: u32,
    pub(super) column: u32,
}

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) content: Content,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub(super) enum Content {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Mapping(Vec<(Key, Node)>),
}

/// A key of a mapping and its place.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) place: Place,
    pub(super) text: String,
}

impl Node {
    /// The value without its places.
    pub(super) fn to_json(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Bool(value) => Value::Bool(*value),
            Content::Number(value) => Value::Number(value.clone()),
            Content::Text(value) => Value::String(value.clone()),
            Content::List(items) => items.iter().map(Self::to_json).collect(),
            Content::Mapping(entries) => entries
                .iter()
                .map(|(key, value)| (key.text.clone(), value.to_json()))
                .collect(),
        }
    }

    /// What the node is, as in "found a number".
    pub(super) fn kind(&self) -> &'static str {
        match &self.content {
            Content::Null => "nothing",
            Content::Bool(_) => "true or false",
            Content::Number(_) => "a number",
            Content::Text(_) => "text",
            Content::List(_) => "a list",
            Content::Mapping(_) => "a mapping",
        }
    }

    /// The text, if the node is text.
    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    /// How much memory the tree takes, in nodes of about a hundred bytes.
    pub(super) fn weight(&self) -> usize {
        const TEXT_PER_NODE: usize = 100;
        match &self.content {
            Content::Text(text) => 1 + text.len() / TEXT_PER_NODE,
            Content::List(items) => 1 + items.iter().map(Self::weight).sum::<usize>(),
            Content::Mapping(entries) => {
                let weigh =
                    |(key, value): &(Key, Self)| key.text.len() / TEXT_PER_NODE + value.weight();
                1 + entries.iter().map(weigh).sum::<usize>()
            }
            _ => 1,
        }
    }
}
