//! Reads YAML 1.2, and with it JSON, into a tree that knows its places.
//!
//! The tree is built from the parser's events with a stack of its own, so nesting costs heap and
//! not call stack, and everything a hostile document could make large has a limit.

use std::borrow::Cow;
use std::collections::HashMap;

use granit_parser::{ErrorKind, Event, Marker, Parser, ScalarStyle, ScanError, Span, Tag};
use serde::de::IgnoredAny;

use super::error::{Mistakes, Path};
use super::node::{Content, Key, Node, Place};
use super::{MAX_DOCUMENT_BYTES, MAX_STEPS, scalar};

/// The deepest nesting of mappings and lists; far more than a template or a JSON Schema needs.
const MAX_DEPTH: usize = 100;

/// Room for every step of the largest template with all of its keys written out.
const MAX_NODES: usize = MAX_STEPS * 40;

/// How much may be kept for and copied by aliases (`*name`), so that a small document stays small.
const MAX_WEIGHT_OF_COPIES: usize = 200_000;

/// Reading stopped; the reason has been added to the mistakes.
struct Stopped;

/// What is being built, outermost first.
struct Builder<'m> {
    mistakes: &'m mut Mistakes,
    open: Vec<Open>,
    root: Option<Node>,
    /// The finished nodes that have an anchor (`&name`), with their weights.
    anchored: HashMap<usize, (Node, usize)>,
    nodes: usize,
    weight_of_copies: usize,
}

/// A mapping or list whose end has not been seen.
struct Open {
    place: Place,
    anchor: usize,
    content: OpenContent,
}

enum OpenContent {
    List(Vec<Node>),
    Mapping {
        entries: Vec<(Key, Node)>,
        key: Option<Key>,
    },
}

/// The tree of a YAML document; what is wrong with it is added to `mistakes`.
pub(super) fn read_yaml(text: &str, mistakes: &mut Mistakes) -> Option<Node> {
    if text.len() > MAX_DOCUMENT_BYTES {
        mistakes.add_to_document(format!(
            "the document has {} bytes; at most {MAX_DOCUMENT_BYTES} are accepted",
            text.len()
        ));
        return None;
    }
    let mut builder = Builder {
        mistakes,
        open: Vec::new(),
        root: None,
        anchored: HashMap::new(),
        nodes: 0,
        weight_of_copies: 0,
    };
    for event in Parser::new_from_str(text) {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                builder.not_yaml(&error);
                return None;
            }
        };
        if let Err(Stopped) = builder.take(event, span) {
            return None;
        }
    }
    if builder.root.is_none() {
        builder.mistakes.add_to_document("the document is empty");
    }
    builder.root
}

/// The tree of a JSON document.
///
/// A JSON parser decides whether it is JSON; the tree comes from the YAML parser, whose language
/// contains JSON and which tells the places.
pub(super) fn read_json(text: &str, mistakes: &mut Mistakes) -> Option<Node> {
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        let place = Place {
            line: narrow(error.line()),
            column: narrow(error.column()),
        };
        let message = error.to_string();
        let position = format!(" at line {} column {}", error.line(), error.column());
        let message = message.strip_suffix(&position).unwrap_or(&message);
        mistakes.add(place, &Path::Root, format!("not JSON: {message}"));
        return None;
    }
    read_yaml(&escape_unprintable(text), mistakes)
}

/// JSON text with the characters escaped that YAML allows in no text, other than JSON.
fn escape_unprintable(text: &str) -> Cow<'_, str> {
    let is_unprintable = |character: char| matches!(character, '\u{7f}'..='\u{9f}' | '\u{feff}' | '\u{fffe}'..='\u{ffff}');
    if !text.contains(is_unprintable) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_unprintable(character) {
            escaped.extend(format!("\\u{:04x}", u32::from(character)).chars());
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Stopped> {
        let place = Place::from(span.start);
        match event {
            Event::DocumentStart(..) if self.root.is_some() => self.stop(
                place,
                "a second document begins here; a template is a single one",
            ),
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(&text, style, tag.as_deref(), anchor, place)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.open(OpenContent::List(Vec::new()), anchor, tag.as_deref(), place)
            }
            Event::MappingStart(_, anchor, tag) => {
                let content = OpenContent::Mapping {
                    entries: Vec::new(),
                    key: None,
                };
                self.open(content, anchor, tag.as_deref(), place)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => self.alias(anchor, place),
            _ => Ok(()),
        }
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        anchor: usize,
        place: Place,
    ) -> Result<(), Stopped> {
        if text.contains('\0') {
            self.add(place, "text must not contain the character U+0000");
        }
        let mut plain = style == ScalarStyle::Plain;
        match tag {
            Some(tag) if tag.is_yaml_core_schema_tag("str") => plain = false,
            Some(tag) => self.refuse_tag(tag, place),
            None => {}
        }
        if self.expects_key() {
            return self.key(text, plain, place);
        }
        let content = if plain {
            scalar::plain(text)
        } else {
            Some(Content::Text(text.to_owned()))
        };
        let content = content.unwrap_or_else(|| {
            self.add(
                place,
                format!("the number {text} is out of range; as text, quote it"),
            );
            Content::Null
        });
        self.count(place)?;
        self.finish(Node { place, content }, anchor)
    }

    fn key(&mut self, text: &str, plain: bool, place: Place) -> Result<(), Stopped> {
        if plain && text == "<<" {
            return self.stop(
                place,
                "merge keys (`<<`) are not part of YAML 1.2: use `defaults`",
            );
        }
        if plain && scalar::is_null(text) {
            return self.stop(place, "a key must be text, and there is none");
        }
        if let Some(Open {
            content: OpenContent::Mapping { key, .. },
            ..
        }) = self.open.last_mut()
        {
            *key = Some(Key {
                place,
                text: text.to_owned(),
            });
        }
        Ok(())
    }

    fn open(
        &mut self,
        content: OpenContent,
        anchor: usize,
        tag: Option<&Tag>,
        place: Place,
    ) -> Result<(), Stopped> {
        if let Some(tag) = tag {
            self.refuse_tag(tag, place);
        }
        if self.expects_key() {
            return self.stop(place, "a key must be text, not a list or a mapping");
        }
        if self.open.len() == MAX_DEPTH {
            return self.stop(place, too_deep());
        }
        self.count(place)?;
        self.open.push(Open {
            place,
            anchor,
            content,
        });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Stopped> {
        let Some(Open {
            place,
            anchor,
            content,
        }) = self.open.pop()
        else {
            return Ok(());
        };
        let content = match content {
            OpenContent::List(items) => Content::List(items),
            OpenContent::Mapping { entries, .. } => {
                self.refuse_duplicate_keys(&entries);
                Content::Mapping(entries)
            }
        };
        self.finish(Node { place, content }, anchor)
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Result<(), Stopped> {
        if self.expects_key() {
            return self.stop(place, "a key must be text, not an alias");
        }
        let Some((_, weight)) = self.anchored.get(&anchor) else {
            return self.stop(place, "the alias stands inside of what it stands for");
        };
        self.weight_of_copies += weight;
        if self.weight_of_copies > MAX_WEIGHT_OF_COPIES {
            let message = format!("aliases stand for more than {MAX_WEIGHT_OF_COPIES} nodes");
            return self.stop(place, message);
        }
        let node = self.anchored[&anchor].0.clone();
        self.finish(node, 0)
    }

    /// Puts a finished node where it belongs.
    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), Stopped> {
        if anchor > 0 {
            let weight = node.weight();
            self.weight_of_copies += weight;
            if self.weight_of_copies > MAX_WEIGHT_OF_COPIES {
                let message = format!("anchors hold more than {MAX_WEIGHT_OF_COPIES} nodes");
                return self.stop(node.place, message);
            }
            self.anchored.insert(anchor, (node.clone(), weight));
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(OpenContent::List(items)) => items.push(node),
            Some(OpenContent::Mapping { entries, key }) => {
                if let Some(key) = key.take() {
                    entries.push((key, node));
                }
            }
        }
        Ok(())
    }

    fn expects_key(&self) -> bool {
        let innermost = self.open.last().map(|open| &open.content);
        matches!(innermost, Some(OpenContent::Mapping { key: None, .. }))
    }

    fn count(&mut self, place: Place) -> Result<(), Stopped> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return self.stop(
                place,
                format!("the document has more than {MAX_NODES} nodes"),
            );
        }
        Ok(())
    }

    fn refuse_tag(&mut self, tag: &Tag, place: Place) {
        self.add(
            place,
            format!("the tag `{}` is not supported", tag.original()),
        );
    }

    fn refuse_duplicate_keys(&mut self, entries: &[(Key, Node)]) {
        let mut first_places = HashMap::with_capacity(entries.len());
        for (key, _) in entries {
            if let Some(first) = first_places.insert(key.text.as_str(), key.place) {
                let message = format!(
                    "the key `{}` is there already, on line {}",
                    key.text, first.line
                );
                self.add(key.place, message);
            }
        }
    }

    fn not_yaml(&mut self, error: &ScanError) {
        let place = Place::from(*error.marker());
        let message = match error.kind() {
            ErrorKind::RecursionLimitExceeded => too_deep(),
            _ => format!("not YAML: {}", error.info()),
        };
        self.mistakes.add(place, &Path::Root, message);
    }

    /// Adds a mistake after which nothing can be read.
    fn stop(&mut self, place: Place, message: impl Into<String>) -> Result<(), Stopped> {
        self.add(place, message);
        Err(Stopped)
    }

    fn add(&mut self, place: Place, message: impl Into<String>) {
        add_below(
            self.mistakes,
            &self.open,
            &Path::Root,
            place,
            message.into(),
        );
    }
}

/// Adds a mistake with the path that leads through the `open` mappings and lists.
fn add_below(
    mistakes: &mut Mistakes,
    open: &[Open],
    path: &Path<'_>,
    place: Place,
    message: String,
) {
    let Some((outermost, inner)) = open.split_first() else {
        return mistakes.add(place, path, message);
    };
    match &outermost.content {
        OpenContent::List(items) => {
            add_below(mistakes, inner, &path.index(items.len()), place, message);
        }
        OpenContent::Mapping { key: Some(key), .. } => {
            add_below(mistakes, inner, &path.key(&key.text), place, message);
        }
        OpenContent::Mapping { key: None, .. } => mistakes.add(place, path, message),
    }
}

impl From<Marker> for Place {
    fn from(marker: Marker) -> Self {
        Self {
            line: narrow(marker.line()),
            column: narrow(marker.col() + 1),
        }
    }
}

fn too_deep() -> String {
    format!("nested deeper than {MAX_DEPTH} lists and mappings")
}

fn narrow(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
