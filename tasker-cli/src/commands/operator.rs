//! Who acts when a person runs a command.

use nix::unistd::{User, geteuid};

/// The account that runs this command, for the history of a task.
pub(crate) fn actor() -> String {
    let user = User::from_uid(geteuid()).ok().flatten();
    let name = user.map_or_else(|| geteuid().to_string(), |user| user.name);
    format!("operator:{name}")
}
