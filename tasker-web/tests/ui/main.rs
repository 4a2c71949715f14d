//! The web interface, page by page, over HTTP.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

#[path = "../api/support.rs"]
#[expect(dead_code, reason = "the tests of the API use the rest")]
mod support;

mod bulk;
mod frame;
mod lists;
mod overview;
mod task;
mod templates;
