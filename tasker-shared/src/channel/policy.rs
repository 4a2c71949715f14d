//! Which channels of the configuration may lose messages.
//!
//! What must not be lost is declared here and by the type of the channel's sender, never by
//! configuration: an operator decides about memory and waiting, not about facts.

/// The sections whose channels lose nothing, and what passes through them.
const LOSSLESS: [(&str, &str); 11] = [
    ("orchestration.command_processor", "commands"),
    ("orchestration.event_systems", "events that become commands"),
    ("orchestration.event_listeners", "database notifications"),
    (
        "task_readiness.event_channel",
        "events that become commands",
    ),
    ("worker.command_processor", "commands"),
    ("worker.event_systems", "events that become commands"),
    ("worker.event_subscribers", "outcomes"),
    ("worker.event_listeners", "database notifications"),
    ("web.submissions", "submissions"),
    ("shared.announcer", "announcements"),
    ("shared.ffi", "events for other languages"),
];

/// Why there is no such key, where a reader may expect one.
pub(crate) fn why_not_declared(key: &str) -> Option<String> {
    let key = key.strip_prefix("mpsc_channels.")?;
    let section = key.strip_suffix(".drop_policy")?;
    if section == "worker.in_process_events" {
        let reason = "a broadcast always drops the oldest events of subscribers that are too slow";
        return Some(reason.to_owned());
    }
    let (_, what) = LOSSLESS.iter().find(|(lossless, _)| *lossless == section)?;
    Some(format!(
        "{what} are lossless: a sender that finds the channel full waits, or gets its message back"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOSSY: [&str; 2] = ["shared.event_publisher", "worker.in_process_events"];

    #[test]
    fn every_channel_is_declared_lossless_or_lossy() {
        let file = include_str!("../../../config/tasker/base/mpsc_channels.toml");
        let sections = file.lines().filter_map(|line| {
            let section = line.strip_prefix("[mpsc_channels.")?.strip_suffix(']')?;
            (!section.starts_with("overflow_policy")).then_some(section)
        });
        let sections: Vec<_> = sections.collect();
        assert_eq!(sections.len(), LOSSLESS.len() + LOSSY.len());
        for section in sections {
            let lossless = LOSSLESS.iter().any(|(lossless, _)| *lossless == section);
            assert!(lossless != LOSSY.contains(&section), "{section}");
        }
    }
}
