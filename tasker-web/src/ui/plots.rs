//! The last hour as plots, and bars of what is used, drawn as SVG.

use chrono::{DurationRound, TimeDelta};
use tasker_shared::statistics::MinuteStatistics;

use super::looks::Look;
use crate::ui::prelude::*;

/// Minutes that plots show.
pub(super) const MINUTES: i32 = 60;

/// What a minute amounts to: a figure, and another that is a part of it.
type Figures = fn(&MinuteStatistics, f64) -> [f64; 2];

/// Steps a second, and how long steps waited and ran.
pub(super) fn last_hour(look: &Look, samples: bool) -> Markup {
    let times: Figures = |it, _| [it.p95_ms / 1e3, it.p50_ms / 1e3];
    let ended: Figures = |it, passed| [it.count / passed, it.failures / passed];
    let within = ["95% within", "half within"];
    let rate = |rate: f64| format!("{rate:.*}", usize::from(rate < 10.0));
    html! {
        h2 { "Last hour" }
        @if look.minutes.is_empty() {
            p.note { "No step was sampled within an hour." }
        } @else {
            div.plots {
                (plot(look, "Steps a second", "received_to_ended", ["ended", "failed"], (ended, rate)))
                (plot(look, "Wait for a worker", "enqueued_to_received", within, (times, seconds)))
                (plot(look, "Run of a handler", "received_to_ended", within, (times, seconds)))
            }
            p.note { "By minute, estimated from samples." }
        }
        @if !samples { p.note { "Sampling is off in this process: statistics.enabled." } }
    }
}

/// A bar for each minute; the second of the two figures stands in front of the first.
fn plot(
    look: &Look,
    title: &str,
    event: &str,
    names: [&str; 2],
    (figures, words): (Figures, fn(f64) -> String),
) -> Markup {
    let last = look
        .at
        .duration_trunc(TimeDelta::minutes(1))
        .unwrap_or(look.at);
    let minutes = (0..MINUTES).map(|place| {
        let minute = last - TimeDelta::minutes((MINUTES - 1 - place).into());
        // The first moments of a minute say nothing about all of it.
        let passed = (look.at - minute).as_seconds_f64().clamp(10.0, 60.0);
        let mut known = look.minutes.iter();
        let known = known.find(|it| it.event == event && it.minute == minute);
        (
            place,
            minute,
            known.map_or([0.0; 2], |it| figures(it, passed)),
        )
    });
    let minutes: Vec<_> = minutes.collect();
    let highest = minutes.iter().map(|(_, _, it)| it[0]).fold(0.0, f64::max);
    let says = |figures: &[f64]| {
        let parts = names
            .iter()
            .zip(figures)
            .map(|(name, it)| format!("{name} {}", words(*it)));
        parts.collect::<Vec<_>>().join(", ")
    };
    html! {
        figure.plot id=(title.to_lowercase().replace(' ', "-")) {
            figcaption { b { (title) } " " span.note { (names[0]) ", front: " (names[1]) } }
            svg viewBox=(format!("0 0 {MINUTES}0 100")) preserveAspectRatio="none" role="img"
                aria-label=(format!("{title}: at most {}", says(&[highest]))) {
                @for (place, minute, figures) in &minutes {
                    g {
                        title { (minute.format("%H:%M UTC")) ": " (says(figures)) }
                        rect.reach x=(place * 10) width="10" height="100" {}
                        @for (class, figure) in ["back", "front"].iter().zip(figures) {
                            // What is there at all is seen.
                            @let height = if *figure > 0.0 { (figure / highest * 100.0).max(2.0) } else { 0.0 };
                            rect class=(class) x=(place * 10) y=(100.0 - height) width="8" height=(height) {}
                        }
                    }
                }
            }
            p.note { span { "1 h ago" } span { "highest: " (words(highest)) } span { "now" } }
        }
    }
}

/// How much of something is used, in percent.
pub(super) fn meter(percent: f64, is_high: bool) -> Markup {
    html! {
        meter max="100" high=[is_high.then_some("0")] optimum=[is_high.then_some("0")] value=(format!("{percent:.0}"))
            aria-label=(format!("{percent:.0}% used")) {}
    }
}
