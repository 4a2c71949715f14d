//! For how long the tasks of a template are kept once they ended: `retention: { complete: 30d }`.

use std::collections::BTreeMap;

use super::error::{Mistakes, Path, shortened};
use super::fields::{Fields, text};
use super::node::Node;

/// The outcomes that a template can name.
pub(super) const RETENTION_KEYS: [&str; 4] =
    ["complete", "error", "cancelled", "resolved_manually"];

/// A century, in hours: no retention may leave the range of time.
const MOST_HOURS: u32 = 36_500 * 24;

/// How much of a wrong duration a message quotes, in characters.
const MAX_QUOTED: usize = 80;

/// Durations by outcome, as they are written.
pub(super) fn read(
    node: &Node,
    path: &Path<'_>,
    mistakes: &mut Mistakes,
) -> Option<BTreeMap<String, String>> {
    let fields = Fields::of(node, path, &RETENTION_KEYS, mistakes)?;
    let mut durations = BTreeMap::new();
    for key in RETENTION_KEYS {
        let Some(node) = fields.get(key) else {
            continue;
        };
        let path = &path.key(key);
        let Some(duration) = text(node, path, mistakes) else {
            continue;
        };
        if hours(duration).is_some() {
            durations.insert(key.to_owned(), duration.to_owned());
        } else {
            let quoted = shortened(duration, MAX_QUOTED);
            let message = format!("`{quoted}` is no time for which tasks are kept");
            mistakes.add_with_hint(node.place, path, message, || {
                Some("write days or hours: 30d, 12h; 0d keeps for ever".to_owned())
            });
        }
    }
    Some(durations)
}

/// The hours of a duration such as 30d or 12h.
fn hours(text: &str) -> Option<u32> {
    let (digits, hours) = match text.strip_suffix('d') {
        Some(digits) => (digits, 24),
        None => (text.strip_suffix('h')?, 1),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let hours = digits.parse::<u32>().ok()?.checked_mul(hours)?;
    (hours <= MOST_HOURS).then_some(hours)
}

#[cfg(test)]
mod tests {
    use super::hours;

    #[test]
    fn durations_are_days_or_hours_up_to_a_century() {
        assert_eq!(hours("30d"), Some(720));
        assert_eq!(hours("12h"), Some(12));
        assert_eq!(hours("0d"), Some(0));
        for wrong in [
            "",
            "d",
            "30",
            "-1d",
            "+1d",
            "1.5d",
            "30 d",
            "36501d",
            "9999999999h",
        ] {
            assert_eq!(hours(wrong), None, "{wrong}");
        }
    }
}
