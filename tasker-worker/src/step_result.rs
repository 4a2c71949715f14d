//! Whether a result can be stored: its size, its depth, and characters that PostgreSQL refuses.
//!
//! The check writes the JSON to nowhere and looks at it on its way. A result that one database call
//! refused would block the outcomes of a whole batch.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{CharEscape, Formatter, Serializer};

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
    let mut measure = Measure {
        bytes: 0,
        max_bytes,
    };
    let inspect = Inspect { depth: 0 };
    result
        .serialize(&mut Serializer::with_formatter(&mut measure, inspect))
        .map_err(|problem| {
            let problem = io::Error::from(problem);
            match problem.kind() {
                io::ErrorKind::FileTooLarge => Unstorable {
                    kind: "result_too_large",
                    reason: format!(
                        "it is larger than {max_bytes} bytes of JSON, which is the limit \
                         (worker.max_result_bytes for results); store it elsewhere and return where"
                    ),
                },
                _ => Unstorable {
                    kind: "invalid_result",
                    reason: problem.to_string(),
                },
            }
        })
}

/// Counts bytes and refuses the one that is too many.
struct Measure {
    bytes: usize,
    max_bytes: usize,
}

impl Write for Measure {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes += bytes.len();
        if self.bytes > self.max_bytes {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Sees what the JSON is made of while it is written.
struct Inspect {
    depth: usize,
}

impl Inspect {
    fn deeper(&mut self) -> io::Result<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(io::Error::other(format!(
                "it is nested deeper than {MAX_DEPTH} levels"
            )));
        }
        Ok(())
    }
}

impl Formatter for Inspect {
    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.deeper()?;
        writer.write_all(b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        writer.write_all(b"]")
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.deeper()?;
        writer.write_all(b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        writer.write_all(b"}")
    }

    fn write_char_escape<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        if matches!(escape, CharEscape::AsciiControl(0)) {
            return Err(io::Error::other(
                "it holds a NUL character (\\u0000), which PostgreSQL cannot store",
            ));
        }
        serde_json::ser::CompactFormatter.write_char_escape(writer, escape)
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
