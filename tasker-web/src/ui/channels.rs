//! The channels of this process: how full they are and what went through them.

use tasker_shared::channel::ChannelStatus;
use tasker_shared::channel::registry::{self, ChannelHealthStatus};
use tasker_shared::words;

use super::plots;
use super::troubles::{Trouble, of_loops, show};
use crate::ui::prelude::*;

/// Channels whose messages may be lost; with all others senders wait.
const LOSSY: [&str; 2] = ["lifecycle_events", "in_process_events"];

pub(crate) async fn channels(State(state): State<WebState>, _: NoParams) -> Page {
    let threshold = state.probes.channel_warning_threshold;
    let mut channels = registry::snapshot();
    channels.sort_by(|a, b| b.usage_percent.total_cmp(&a.usage_percent));
    let loops = of_loops((state.probes.components)());
    let content = html! {
        h1 { "Channels of this process" }
        (show(troubles(threshold).chain(loops).collect(), CHANNELS))
        p.note {
            "Messages between the loops of the process that draws this page, counted since its start. "
            "A channel that stays above " (format!("{:.0}", threshold * 100.0)) "% has a receiver that is slower than its senders."
        }
        (table("Channels",
            ["Channel", "Used", "# Most ever", "# Sent", "# Received", "# Sends that waited", "# Refused", "# Dropped", "When full"],
            channels.iter().map(|it| row(it, threshold))))
    };
    Page::live(CHANNELS, "Channels", content)
}

/// The channels that are filling up.
pub(super) fn troubles(threshold: f64) -> impl Iterator<Item = Trouble> {
    let warnings = match registry::check_channel_health(threshold) {
        ChannelHealthStatus::Healthy => Vec::new(),
        ChannelHealthStatus::Degraded { warnings } => warnings,
    };
    let advice = "Its receiver is slower than its senders: look at the database. Nothing is lost.";
    let warnings = warnings.into_iter();
    warnings.map(move |it| Trouble::mild(format!("In this process, {it}."), advice, CHANNELS))
}

fn row(it: &ChannelStatus, threshold: f64) -> (String, [Markup; 9]) {
    let size = |bytes: usize| words::bytes(i64::try_from(bytes).unwrap_or(i64::MAX));
    let is_high = it.usage_percent >= threshold * 100.0;
    let cells = [
        html! { (it.component) "/" (it.name) },
        html! {
            (plots::meter(it.usage_percent, is_high)) " " (it.len) " of " (it.capacity)
            @if let Some(most) = it.max_bytes { div.note { (size(it.bytes)) " of " (size(most)) } }
        },
        html! { (number(it.high_water)) },
        html! { (number(it.sent_total)) },
        html! { (number(it.received_total)) },
        html! { (number(it.blocked_total)) },
        html! { (number(it.refused_total)) },
        html! { (number(it.dropped_total)) },
        html! { (if LOSSY.contains(&it.name) { "messages are dropped" } else { "senders wait" }) },
    ];
    (format!("channel-{}-{}", it.component, it.name), cells)
}
