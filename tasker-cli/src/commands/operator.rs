//! What a person decides about a task or a step, and who they are.

use nix::unistd::{User, geteuid};
use tasker_shared::database::Database;
use tasker_shared::ids::TaskUuid;
use tasker_shared::operator::Action;
use tasker_shared::tasks::TaskDetail;

use crate::commands::task::fetch;
use crate::failure::Failure;

/// Does what the person decided; answers the task as it is then.
pub(crate) async fn act(
    database: &Database,
    task: TaskUuid,
    action: Action<'_>,
    reason: Option<&str>,
) -> Result<TaskDetail, Failure> {
    database
        .call(action.name(), async |connection| {
            action.carry_out(connection, task, &actor(), reason).await
        })
        .await?;
    fetch(database, task).await
}

/// The account that runs this command, for the history of a task.
pub(crate) fn actor() -> String {
    let user = User::from_uid(geteuid()).ok().flatten();
    let name = user.map_or_else(|| geteuid().to_string(), |user| user.name);
    format!("operator:{name}")
}
