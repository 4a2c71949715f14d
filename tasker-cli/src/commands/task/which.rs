//! Which task an argument means: its UUID, or a part of it that no other task has.

use std::str::FromStr;

use tasker_shared::database::Database;
use tasker_shared::ids::{StepId, TaskUuid};
use tasker_shared::tasks::find_tasks;
use uuid::Uuid;

use crate::failure::Failure;

/// The fewest digits that stand for a task.
const FEWEST_DIGITS: usize = 4;
/// The digits of a whole UUID.
const ALL_DIGITS: usize = 32;
/// The digits of the short form that lists show, and the zeros behind it in a UUID.
const SHORT_DIGITS: usize = 8;
const ZEROS: &str = "0000";
/// Candidates that are named where several tasks are meant.
const MOST_CANDIDATES: i32 = 5;

/// A task as the command line names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TaskArg {
    /// By its UUID.
    Whole(TaskUuid),
    /// By some digits of its UUID, in lower case and without hyphens.
    Part(String),
}

impl FromStr for TaskArg {
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

impl TaskArg {
    /// The task that is meant.
    pub(crate) async fn find(&self, database: &Database) -> Result<TaskUuid, Failure> {
        let digits = match self {
            Self::Whole(task) => return Ok(*task),
            Self::Part(digits) => digits,
        };
        let found = database
            .call("find_tasks", async |connection| {
                find_tasks(connection, digits, MOST_CANDIDATES + 1).await
            })
            .await?;
        match found.as_slice() {
            [] => Err(
                Failure::new(format!("there is no task whose UUID has {digits}"))
                    .hint("`tasker task list` shows the tasks there are"),
            ),
            [task] => Ok(*task),
            several => Err(ambiguous(digits, several)),
        }
    }
}

fn ambiguous(digits: &str, candidates: &[TaskUuid]) -> Failure {
    let most = usize::try_from(MOST_CANDIDATES).unwrap_or(usize::MAX);
    let mut lines = vec![format!("{digits} stands for more than one task:")];
    let named = candidates.iter().take(most);
    lines.extend(named.map(|task| format!("  {task}")));
    if candidates.len() > most {
        lines.push("  and more".to_owned());
    }
    Failure::new(lines.join("\n")).hint("give more digits, or the whole UUID")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_named_by_its_uuid_or_a_part_of_it() {
        let uuid = "01890a5d-ac96-774b-bcce-b302099a0000";
        let whole = TaskArg::Whole(uuid.parse().unwrap());
        let part = |digits: &str| TaskArg::Part(digits.to_owned());
        for (text, expected) in [
            (uuid, whole.clone()),
            ("01890A5D-AC96-774B-BCCE-B302099A0000", whole.clone()),
            ("01890a5d-ac96-774b-bcce-b302099a0002", whole),
            ("b302099a", part("b302099a")),
            ("B302", part("b302")),
            ("b302099a0000", part("b302099a")),
            ("01890a5d-ac96", part("01890a5dac96")),
        ] {
            assert_eq!(text.parse::<TaskArg>(), Ok(expected), "{text}");
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
            assert!(text.parse::<TaskArg>().is_err(), "{text}");
        }
    }
}
