//! Where a page of a listing ended, as an opaque text.

use tasker_shared::ids::TaskUuid;
use uuid::Uuid;

use crate::problem::{Kind, Problem};

/// Before the identity of the last task on the page; a later form gets another prefix.
const PREFIX: &str = "t1-";

/// The cursor of the page after the one that ends with this task.
pub(crate) fn after(last: TaskUuid) -> String {
    format!("{PREFIX}{}", last.0.simple())
}

/// The task that the previous page ended with.
pub(crate) fn read(cursor: &str) -> Result<TaskUuid, Problem> {
    cursor
        .strip_prefix(PREFIX)
        .and_then(|text| Uuid::try_parse(text).ok())
        .map(TaskUuid)
        .ok_or_else(|| {
            Problem::new(
                Kind::InvalidRequest,
                "cursor is not one that this listing gave",
            )
            .hint("pass the next_cursor of the previous page unchanged, or leave cursor out")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back() {
        let task_uuid = TaskUuid(Uuid::now_v7());
        assert_eq!(read(&after(task_uuid)).unwrap(), task_uuid);
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for text in ["", "t1-", "t1-xyz", "01890a5dac96774bbcceb302099a0000"] {
            read(text).unwrap_err();
        }
    }
}
