//! What an unquoted scalar means in the core schema of YAML 1.2.

use serde_json::Number;

use super::node::Content;

/// The meaning of an unquoted scalar; `None` for a number that JSON or 64 bits cannot hold.
pub(super) fn plain(text: &str) -> Option<Content> {
    if is_null(text) {
        return Some(Content::Null);
    }
    match text {
        "true" | "True" | "TRUE" => return Some(Content::Bool(true)),
        "false" | "False" | "FALSE" => return Some(Content::Bool(false)),
        _ => {}
    }
    match number(text) {
        None => Some(Content::Text(text.to_owned())),
        Some(number) => number.ok().map(Content::Number),
    }
}

/// Whether an unquoted scalar stands for nothing.
pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// The number that `text` writes; an error if it is one that JSON or 64 bits cannot hold.
fn number(text: &str) -> Option<Result<Number, ()>> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let number = text.parse::<u64>().map(Number::from);
        let number = number.or_else(|_| text.parse::<i64>().map(Number::from));
        return Some(number.map_err(|_| ()));
    }
    for (prefix, radix) in [("0o", 8), ("0x", 16)] {
        if let Some(digits) = text.strip_prefix(prefix)
            && !digits.is_empty()
            && digits.chars().all(|digit| digit.is_digit(radix))
        {
            return Some(
                u64::from_str_radix(digits, radix)
                    .map(Number::from)
                    .map_err(|_| ()),
            );
        }
    }
    if matches!(digits, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some(Err(()));
    }
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        || !digits.contains(|character: char| character.is_ascii_digit())
        || !digits
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
    {
        return None;
    }
    let number = text.parse::<f64>().ok()?;
    Some(Number::from_f64(number).ok_or(()))
}
