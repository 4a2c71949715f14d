//! What is wrong with a template document, and where.

use std::fmt;

use serde::Serialize;

use super::node::Place;

/// How many mistakes are reported; someone who has made more mends these first.
const MAX_REPORTED: usize = 50;

/// How much is said about one mistake, in characters; documents can make names very long.
const MAX_TEXT: usize = 400;

/// Everything that was found wrong with a template document; never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct TemplateErrors(Vec<TemplateError>);

/// One mistake in a template document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TemplateError {
    /// The line, counted from 1, where the document has one for the mistake.
    pub line: Option<usize>,
    /// The column, counted from 1 in characters.
    pub column: Option<usize>,
    /// The place in the document, as in `steps[2].depends_on`; empty for the document itself.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub hint: Option<String>,
}

/// The way from the root of a document to a node, borrowed from the walk that is under way.
#[derive(Debug, Clone, Copy)]
pub(super) enum Path<'a> {
    Root,
    Key(&'a Self, &'a str),
    Index(&'a Self, usize),
}

/// Collects mistakes while a document is read.
#[derive(Debug, Default)]
pub(super) struct Mistakes {
    reported: Vec<TemplateError>,
    left_out: usize,
}

impl TemplateErrors {
    /// The mistakes in the order of the document.
    pub fn as_slice(&self) -> &[TemplateError] {
        &self.0
    }
}

impl TemplateError {
    fn at_document(message: String) -> Self {
        Self {
            line: None,
            column: None,
            path: String::new(),
            message,
            hint: None,
        }
    }
}

impl<'a> Path<'a> {
    pub(super) fn key(&'a self, key: &'a str) -> Self {
        Self::Key(self, key)
    }

    pub(super) fn index(&'a self, index: usize) -> Self {
        Self::Index(self, index)
    }
}

impl Mistakes {
    /// Adds a mistake whose message says enough.
    pub(super) fn add(&mut self, place: Place, path: &Path<'_>, message: impl Into<String>) {
        self.push(Some(place), path, &message.into(), || None);
    }

    /// Adds a mistake and how to mend it; `hint` is only called if the mistake is reported.
    pub(super) fn add_with_hint(
        &mut self,
        place: Place,
        path: &Path<'_>,
        message: impl Into<String>,
        hint: impl FnOnce() -> Option<String>,
    ) {
        self.push(Some(place), path, &message.into(), hint);
    }

    /// Adds a mistake of the document as a whole, which has no line.
    pub(super) fn add_to_document(&mut self, message: impl Into<String>) {
        self.push(None, &Path::Root, &message.into(), || None);
    }

    fn push(
        &mut self,
        place: Option<Place>,
        path: &Path<'_>,
        message: &str,
        hint: impl FnOnce() -> Option<String>,
    ) {
        if self.reported.len() == MAX_REPORTED {
            self.left_out += 1;
            return;
        }
        self.reported.push(TemplateError {
            line: place.map(|place| place.line as usize),
            column: place.map(|place| place.column as usize),
            path: shortened(&path.to_string(), MAX_TEXT),
            message: shortened(message, MAX_TEXT),
            hint: hint(),
        });
    }

    /// `value` if there was no mistake.
    pub(super) fn or_else<T>(mut self, value: Option<T>) -> Result<T, TemplateErrors> {
        if let (Some(value), true) = (value, self.reported.is_empty()) {
            return Ok(value);
        }
        self.reported
            .sort_by_key(|error| (error.line, error.column));
        if self.left_out > 0 {
            let message = format!("{} more mistakes are not listed", self.left_out);
            self.reported.push(TemplateError::at_document(message));
        }
        Err(TemplateErrors(self.reported))
    }
}

/// The beginning of `text`, if it is longer than `most` characters.
pub(super) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl fmt::Display for TemplateErrors {
    /// One line for each mistake.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl fmt::Display for TemplateError {
    /// ``line 4, column 5: steps[2].depends_on[0]: unknown step `foo` (did you mean `for`?)``
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (Some(line), Some(column)) => write!(f, "line {line}, column {column}: ")?,
            (Some(line), None) => write!(f, "line {line}: ")?,
            (None, _) => {}
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(Self::Root, key) => f.write_str(key),
            Self::Key(parent, key) => write!(f, "{parent}.{key}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

impl std::error::Error for TemplateErrors {}

impl std::error::Error for TemplateError {}
