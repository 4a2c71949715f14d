//! Which task an argument means: its UUID, or a part of it that no other task has.

use std::str::FromStr;

use tasker_shared::database::Database;
use tasker_shared::ids::TaskUuid;
use tasker_shared::tasks::{NamedTask, find_tasks};

use crate::failure::Failure;

/// Candidates that are named where several tasks are meant.
const MOST_CANDIDATES: i32 = 5;

/// A task as the command line names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TaskArg(NamedTask);

impl FromStr for TaskArg {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl TaskArg {
    /// The task that is meant.
    pub(crate) async fn find(&self, database: &Database) -> Result<TaskUuid, Failure> {
        let digits = match &self.0 {
            NamedTask::Whole(task) => return Ok(*task),
            NamedTask::Part(digits) => digits,
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
