//! The orchestrator: events become commands, commands claim and enqueue.
