//! Whether a result can be stored: its size, its depth, and characters that PostgreSQL refuses.
//!
//! A result that one database call refused would block the outcomes of a whole batch.

use std::io::{self, Write};

use serde_json::Value;

/// Deepest nesting of a result. Readers stop at 128, and they meet it inside of other objects.
const MAX_DEPTH: usize = 100;

/// A result that cannot be stored.
#[derive(Debug)]
pub(crate) struct Unstorable {
    /// The kind of the step's error.
    pub(crate) kind: &'static str,
    /// Why, and what to do instead.
    pub(crate) reason: String,
}

/// Says why `result` cannot be stored, where it cannot.
pub(crate) fn check(result: &Value, max_bytes: usize) -> Result<(), Unstorable> {
    if let Some(reason) = problem(result, MAX_DEPTH) {
        let kind = "invalid_result";
        return Err(Unstorable { kind, reason });
    }
    let measure = Measure { left: max_bytes };
    serde_json::to_writer(measure, result).map_err(|_too_many_bytes| Unstorable {
        kind: "result_too_large",
        reason: format!(
            "it is larger than {max_bytes} bytes of JSON, which is the limit \
             (worker.max_result_bytes for results); store it elsewhere and return where"
        ),
    })
}

/// What cannot be stored or read, in a value that may have `levels` of nesting.
fn problem(value: &Value, levels: usize) -> Option<String> {
    let in_text = |text: &str| {
        let holds = text.contains('\0');
        holds
            .then(|| "it holds a NUL character (\\u0000), which PostgreSQL cannot store".to_owned())
    };
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
        Value::String(text) => in_text(text),
        Value::Array(_) | Value::Object(_) if levels == 0 => {
            Some(format!("it is nested deeper than {MAX_DEPTH} levels"))
        }
        Value::Array(items) => items.iter().find_map(|item| problem(item, levels - 1)),
        Value::Object(members) => members
            .iter()
            .find_map(|(name, member)| in_text(name).or_else(|| problem(member, levels - 1))),
    }
}

/// Counts what is written, and refuses the byte that is too many.
struct Measure {
    left: usize,
}

impl Write for Measure {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.left.checked_sub(bytes.len());
        self.left = left.ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problem(result: &Value, max_bytes: usize) -> Option<String> {
        check(result, max_bytes).err().map(|error| error.reason)
    }

    fn nested(depth: usize) -> Value {
        (0..depth).fold(Value::Null, |inner, _| json!([inner]))
    }

    #[test]
    fn a_result_may_have_exactly_the_bytes_of_the_limit() {
        let result = json!({ "text": "ä\n\"", "list": [1, null] });
        let size = result.to_string().len();

        assert_eq!(problem(&result, size), None);
        assert!(
            problem(&result, size - 1)
                .unwrap()
                .contains("worker.max_result_bytes")
        );
    }

    #[test]
    fn a_nul_character_is_found_in_texts_and_keys_and_not_in_what_looks_like_one() {
        for refused in [json!("\0"), json!({ "a\0": 1 }), json!([["x", "y\0z"]])] {
            assert!(problem(&refused, 1000).unwrap().contains("NUL"));
        }
        assert_eq!(problem(&json!(r"\u0000"), 1000), None);
    }

    #[test]
    fn a_result_that_readers_could_not_follow_is_refused() {
        assert_eq!(problem(&nested(MAX_DEPTH), 1000), None);
        assert!(
            problem(&nested(MAX_DEPTH + 1), 1000)
                .unwrap()
                .contains("deeper")
        );
        let wide = Value::Array(vec![nested(1); 2 * MAX_DEPTH]);
        assert_eq!(problem(&wide, 10_000), None);
    }
}
