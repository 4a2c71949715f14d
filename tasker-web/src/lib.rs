//! The REST API of Tasker.
