//! How long things take, of events that are sampled: the more urgent the task, the more of them.
//!
//! Nobody waits for statistics. A sample goes into a buffer of fixed size and from there, in batches,
//! into the database; where the buffer is full or the database away it is dropped and counted.

mod collector;
mod report;
mod writer;

pub use collector::{Lasted, SampledStatisticsCollector, SampledStep, TimedEvent};
pub use report::{
    By, MinuteStatistics, Statistics, StatisticsFilter, statistics, statistics_by_minute,
    tend_statistics,
};
pub use writer::StatisticsWriter;
