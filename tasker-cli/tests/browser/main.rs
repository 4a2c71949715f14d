//! The web interface in a real browser, on the whole system: what a person sees, clicks and types.
//!
//! The tests need Debian's Chromium, and one of them axe-core, which `make test-browser` fetches; so they
//! are left out of a plain run. They find what they use by its visible name, as a person does, and each
//! ends with a console that has nothing to say.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod bulk;
mod chromium;
mod filled;
mod first_path;
mod frame;
mod hostile;
mod keyboard;
mod noticed;
mod page;
mod pages;
mod person;
mod pictures;
mod policy;
mod stack;
mod templates;
mod times;
mod window;
