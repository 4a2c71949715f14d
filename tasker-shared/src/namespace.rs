//! What namespaces are called, for those who read a name from outside.

use crate::template::is_namespace;

/// What a name looks like, for the error about one that does not.
pub const EXPECTED: &str =
    "expected a lower-case letter, then up to 28 lower-case letters, digits or underscores";

/// Refuses a name that no namespace can have.
///
/// # Errors
/// The name, and what is expected.
pub fn check(name: &str) -> Result<(), String> {
    if is_namespace(name) {
        return Ok(());
    }
    Err(format!("{name:?} is not a namespace: {EXPECTED}"))
}
