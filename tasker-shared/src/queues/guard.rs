//! What calls do about a queue that cannot be used.

/// What a call that uses queues does where one of them cannot be used.
///
/// A guarded call leaves that queue out and says so. To be able to, it works on each queue in a
/// subtransaction, which costs some percent of all it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// The call is guarded when it is made again, after it failed.
    AfterFailure,
    /// The call is guarded from the start: some queue is known to be in trouble, or the call is part
    /// of a transaction, which ends with the failure.
    FromStart,
}

/// Whether a queue may be the reason for an error, and not the server, the session or a rollback
/// that a repeated call survives (SQLSTATE classes 08, 25, 28, 40 and 57).
pub(crate) fn may_be_of_a_queue(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| {
        let code = error.code().unwrap_or_default();
        !matches!(code.get(..2), Some("08" | "25" | "28" | "40" | "57"))
    })
}
