//! The roles that a process can play, put together from the crates that do the work.

pub(crate) mod children;
pub(crate) mod engine;
pub(crate) mod private_server;
pub(crate) mod running_dev;
pub(crate) mod start;
pub(crate) mod stop;
pub(crate) mod worker;
