//! The tasker command: every role of the system in one binary.
fn main() {}
