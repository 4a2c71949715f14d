//! Retention: for how long tasks that ended are kept.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use super::check::{Millis, Seconds, checked, within};
use crate::namespace;

/// For how long tasks that ended are kept.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionConfig {
    /// Days for which a complete task is kept; 0: for ever.
    #[serde(deserialize_with = "days")]
    pub complete_days: u32,
    /// Days for which a task in error is kept; 0: for ever.
    #[serde(deserialize_with = "days")]
    pub error_days: u32,
    /// Days for which a cancelled task is kept; 0: for ever.
    #[serde(deserialize_with = "days")]
    pub cancelled_days: u32,
    /// Days for which a task is kept that was resolved by hand; 0: for ever.
    #[serde(deserialize_with = "days")]
    pub resolved_manually_days: u32,
    /// Days for which an idempotency key is kept at least; 0: as long as its task.
    #[serde(deserialize_with = "days")]
    pub idempotency_key_days: u32,
    /// Where what is deleted is written first.
    pub archive: ArchiveTarget,
    /// The folder of the archive, where that is files.
    pub archive_folder: String,
    /// Most tasks deleted in one transaction.
    #[serde(deserialize_with = "within::<_, _, 1, 10_000>")]
    pub batch_size: i32,
    /// Time between two such transactions.
    #[serde(rename = "pause_ms", with = "Millis::<0, 60_000>")]
    pub pause: Duration,
    /// Time between two scans.
    #[serde(rename = "interval_seconds", with = "Seconds::<100, 86_400_000>")]
    pub interval: Duration,
    /// Namespaces that differ: days, by the keys above.
    #[serde(deserialize_with = "namespaces")]
    pub namespaces: BTreeMap<String, BTreeMap<String, u32>>,
}

/// Where what is deleted is written first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ArchiveTarget {
    /// Nowhere.
    None,
    /// The table `tasker.archived_tasks`.
    Table,
    /// Files of JSON lines.
    File,
}

/// A century at most: no retention may leave the range of time.
fn days<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    within::<_, _, 0, 36_500>(deserializer)
}

fn namespaces<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, BTreeMap<String, u32>>, D::Error> {
    checked(
        deserializer,
        |namespaces: &BTreeMap<String, BTreeMap<String, u32>>| {
            for (name, days) in namespaces {
                namespace::check(name)?;
                if days.values().any(|days| *days > 36_500) {
                    return Err(format!("{name} has more than 36500 days"));
                }
            }
            Ok(())
        },
    )
}
