//! What keeps a task from moving.

use maud::{Markup, html};
use tasker_shared::ids::TaskUuid;
use tasker_shared::state::StepState;
use tasker_shared::why::{Alike, Cause, Reason, Why};

use super::step_address;
use crate::ui::parts::{foreign, number, step_state};

/// Steps that are named where many have one reason.
const MOST_NAMED: usize = 5;

/// Reasons that are shown.
const MOST_REASONS: usize = 20;

/// The reasons for these pages: what the command line can do about failures, which names each step, is
/// left out, so that steps that failed alike stand together.
pub(super) fn for_pages(mut why: Why) -> Why {
    for reason in &mut why.reasons {
        if reason.state == Some(StepState::Error) {
            reason.action = None;
        }
    }
    why
}

/// Whether something does not move by itself.
pub(super) fn is_stuck(why: &Why) -> bool {
    why.reasons.iter().any(|reason| !moves(reason.cause))
}

/// Whether the engine brings about what comes next.
const fn moves(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::Running
            | Cause::WaitsForSteps
            | Cause::WaitsToBeClaimed
            | Cause::WaitsToBeReceived
            | Cause::MessageDelayed
    )
}

/// The reasons, those that read the same together; nothing where there are none.
pub(super) fn panel(why: &Why, task_uuid: TaskUuid) -> Markup {
    let groups = why.alike();
    let more = groups.len().saturating_sub(MOST_REASONS);
    html! {
        @if !groups.is_empty() {
            section #why aria-labelledby="why-title" {
                h2 #why-title { (title(why)) }
                @for group in groups.iter().take(MOST_REASONS) { (reason(group, task_uuid)) }
                @if more > 0 || why.has_more {
                    p.note {
                        @if more > 0 { (more) " more reasons. " }
                        a href=(format!("/v1/tasks/{task_uuid}/why")) { "The reasons as JSON" }
                    }
                }
            }
        }
    }
}

fn title(why: &Why) -> &'static str {
    let mut states = why.reasons.iter().map(|reason| reason.state);
    if states.any(|state| state == Some(StepState::Error)) {
        "Why it failed"
    } else if is_stuck(why) {
        "Why it does not move"
    } else {
        "What it waits for"
    }
}

fn reason(group: &Alike<'_>, task_uuid: TaskUuid) -> Markup {
    let Some(first) = group.roots.first() else {
        return Markup::default();
    };
    let class = match first.state {
        Some(StepState::Error) => "problem",
        _ if moves(first.cause) => "panel",
        _ => "problem mild",
    };
    html! {
        div class=(class) {
            p { (names(&group.roots, task_uuid)) " " @if let Some(state) = first.state { (step_state(state)) } }
            p { (foreign(&first.detail)) }
            @if first.state == Some(StepState::Error) {
                p { b { "To do: " } "mend what failed, then retry; or skip or resolve the step on its page." }
            } @else if let Some(action) = &first.action {
                p { b { "To do: " } (foreign(action)) }
            }
            @if !group.behind.is_empty() {
                p.note {
                    (names(&group.behind, task_uuid))
                    @if group.behind.len() == 1 { " waits for it." } @else { " wait for it." }
                }
            }
        }
    }
}

/// The first few steps as links, and how many there are more.
fn names(reasons: &[&Reason], task_uuid: TaskUuid) -> Markup {
    let more = reasons.len().saturating_sub(MOST_NAMED);
    html! {
        @for (at, reason) in reasons.iter().take(MOST_NAMED).enumerate() {
            @if at > 0 { ", " }
            @match &reason.step_name {
                Some(name) => a href=(step_address(task_uuid, name)) { (foreign(name)) },
                None => "The whole task",
            }
        }
        @if more > 0 { " and " (number(i64::try_from(more).unwrap_or(i64::MAX))) " more" }
    }
}
