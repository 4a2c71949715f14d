//! A task as people name it: by its UUID, or by a part of it that no other task has.

use std::str::FromStr;

use uuid::Uuid;

use crate::ids::{StepId, TaskUuid};

/// The fewest digits that stand for a task.
const FEWEST_DIGITS: usize = 4;
/// The digits of a whole UUID.
const ALL_DIGITS: usize = 32;
/// The digits of the short form that lists show, and the zeros behind it in a UUID.
const SHORT_DIGITS: usize = 8;
const ZEROS: &str = "0000";

/// A task as people name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedTask {
    /// By its UUID.
    Whole(TaskUuid),
    /// By some digits of its UUID, in lower case and without hyphens, for [`super::find_tasks`].
    Part(String),
}

impl FromStr for NamedTask {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected the UUID of a task, or at least 4 digits of it as \
             `tasker task list` shows them (0-9, a-f)";
        if let Ok(uuid) = Uuid::try_parse(text) {
            // The UUID of a step names its task too.
            return Ok(Self::Whole(StepId::from_step_uuid(uuid).task_uuid));
        }
        let digits = text.replace('-', "").to_ascii_lowercase();
        let are_digits = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !are_digits || !(FEWEST_DIGITS..ALL_DIGITS).contains(&digits.len()) {
            return Err(EXPECTED);
        }
        // The last group of a UUID is the short form and the zeros.
        Ok(Self::Part(match digits.strip_suffix(ZEROS) {
            Some(short) if short.len() == SHORT_DIGITS => short.to_owned(),
            _ => digits,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_named_by_its_uuid_or_a_part_of_it() {
        let uuid = "01890a5d-ac96-774b-bcce-b302099a0000";
        let whole = NamedTask::Whole(uuid.parse().unwrap());
        let part = |digits: &str| NamedTask::Part(digits.to_owned());
        for (text, expected) in [
            (uuid, whole.clone()),
            ("01890A5D-AC96-774B-BCCE-B302099A0000", whole.clone()),
            ("01890a5d-ac96-774b-bcce-b302099a0002", whole),
            ("b302099a", part("b302099a")),
            ("B302", part("b302")),
            ("b302099a0000", part("b302099a")),
            ("01890a5d-ac96", part("01890a5dac96")),
        ] {
            assert_eq!(text.parse::<NamedTask>(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_part_of_a_uuid_is_refused() {
        for text in [
            "",
            "nonsense",
            "b30",
            "--b302 ",
            "01890a5d-ac96-774b-bcce-b302099a00000",
        ] {
            assert!(text.parse::<NamedTask>().is_err(), "{text}");
        }
    }
}
