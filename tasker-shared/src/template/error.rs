//! What is wrong with a template document, and where.

use std::fmt;

use serde::Serialize;

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

impl TemplateErrors {
    pub(super) fn new(errors: Vec<TemplateError>) -> Self {
        Self(errors)
    }

    /// The mistakes in the order of the document.
    pub fn as_slice(&self) -> &[TemplateError] {
        &self.0
    }
}

impl TemplateError {
    /// A mistake of the document as a whole, which has no line.
    pub(super) fn at_document(message: impl Into<String>) -> Self {
        Self {
            line: None,
            column: None,
            path: String::new(),
            message: message.into(),
            hint: None,
        }
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
    /// `line 4, column 5: steps[2].depends_on: unknown step "foo" (did you mean "for"?)`
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

impl std::error::Error for TemplateErrors {}

impl std::error::Error for TemplateError {}
