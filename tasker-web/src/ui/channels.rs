//! The channels of this process: how full they are and what went through them.

use axum::extract::State;
use maud::{Markup, html};
use tasker_shared::channel::ChannelStatus;
use tasker_shared::channel::registry::{self, ChannelHealthStatus};
use tasker_shared::words;

use super::frame::{Live, Page, Section};
use super::overview::{Trouble, of_loops, show, table};
use super::{parts, plots};
use crate::extract::NoParams;
use crate::state::WebState;

/// Channels whose messages may be lost; with all others senders wait.
const LOSSY: [&str; 2] = ["lifecycle_events", "in_process_events"];

pub(crate) async fn channels(State(state): State<WebState>, _: NoParams) -> Page<'static> {
    let threshold = state.probes.channel_warning_threshold * 100.0;
    let mut channels = registry::snapshot();
    channels.sort_by(|a, b| b.usage_percent.total_cmp(&a.usage_percent));
    let loops = of_loops((state.probes.components)());
    Page {
        title: "Channels",
        section: Section::Channels,
        live: Live::Everything,
        content: html! {
            h1 { "Channels of this process" }
            (show(troubles(threshold / 100.0).chain(loops).collect(), "/ui/channels"))
            p.note {
                "Messages between the loops of the process that draws this page, counted since its start. "
                "A channel that stays above " (format!("{threshold:.0}")) "% has a receiver that is slower than its senders."
            }
            (channel_table(&channels, threshold))
        },
    }
}

/// The channels that are filling up.
pub(super) fn troubles(threshold: f64) -> impl Iterator<Item = Trouble> {
    let warnings = match registry::check_channel_health(threshold) {
        ChannelHealthStatus::Healthy => Vec::new(),
        ChannelHealthStatus::Degraded { warnings } => warnings,
    };
    let advice = "Its receiver is slower than its senders: look at the database. Nothing is lost.";
    let page = "/ui/channels";
    warnings
        .into_iter()
        .map(move |it| Trouble::mild(format!("In this process, {it}."), advice, page))
}

fn channel_table(channels: &[ChannelStatus], threshold: f64) -> Markup {
    let number = |number: u64| parts::number(i64::try_from(number).unwrap_or(i64::MAX));
    let size = |bytes: usize| words::bytes(i64::try_from(bytes).unwrap_or(i64::MAX));
    let rows = html! {
        @for it in channels {
            tr id=(format!("channel-{}-{}", it.component, it.name)) {
                td { (it.component) "/" (it.name) }
                td {
                    (plots::meter(it.usage_percent, it.usage_percent >= threshold)) " " (it.len) " of " (it.capacity)
                    @if let Some(most) = it.max_bytes { div.note { (size(it.bytes)) " of " (size(most)) } }
                }
                @for count in [it.high_water as u64, it.sent_total, it.received_total, it.blocked_total, it.refused_total, it.dropped_total] {
                    td.number { (number(count)) }
                }
                td { (if LOSSY.contains(&it.name) { "messages are dropped" } else { "senders wait" }) }
            }
        }
    };
    let numbers = [
        "Most ever",
        "Sent",
        "Received",
        "Sends that waited",
        "Refused",
        "Dropped",
    ];
    table(
        "Channels",
        &["Channel", "Used"],
        &numbers,
        &["When full"],
        &rows,
    )
}
