//! Event systems: each receives the events of one sort and turns them into commands. They never act.

pub(crate) mod orchestration_event_system;
pub(crate) mod task_readiness_event_system;
