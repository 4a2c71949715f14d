//! Values that belong to the process that made them, and are left alone in its forks.
//!
//! A fork has the memory of its parent and none of its threads: a lock that one of them held stays
//! locked for ever, a runtime waits for threads that are not there.

use std::mem;
use std::process;

/// A value of one process.
#[derive(Debug)]
pub(crate) struct OfProcess<T> {
    pid: u32,
    value: Option<T>,
}

/// The process is a fork of the one that the value belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Forked;

impl<T> OfProcess<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            pid: process::id(),
            value: Some(value),
        }
    }

    pub(crate) fn get(&self) -> Result<&T, Forked> {
        self.value
            .as_ref()
            .filter(|_| self.pid == process::id())
            .ok_or(Forked)
    }
}

impl<T> Drop for OfProcess<T> {
    fn drop(&mut self) {
        if self.pid != process::id() {
            mem::forget(self.value.take());
        }
    }
}

impl<T> OfProcess<T> {
    pub(crate) fn into_inner(mut self) -> Result<T, Forked> {
        if self.pid != process::id() {
            return Err(Forked);
        }
        self.value.take().ok_or(Forked)
    }
}
