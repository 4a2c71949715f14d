//! Where a value of the configuration was written.

use std::fmt;

use serde::{Serialize, Serializer};

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file compiled into the binary.
    BuiltIn {
        /// Its name below `config/tasker`.
        file: String,
        /// The line of the key.
        line: usize,
    },
    /// A file of the configuration folder.
    File {
        /// Its path.
        path: String,
        /// The line of the key.
        line: usize,
    },
    /// An environment variable.
    Variable {
        /// Its name.
        name: String,
    },
}

impl Source {
    /// The environment variable of this name.
    pub(super) fn variable(name: &str) -> Self {
        Self::Variable {
            name: name.to_owned(),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn { file, line } => write!(f, "built-in {file}:{line}"),
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::Variable { name } => write!(f, "environment variable {name}"),
        }
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
