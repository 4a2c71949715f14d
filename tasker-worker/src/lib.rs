//! The worker runtime: receives steps, runs handlers, reports outcomes.
