//! What keeps a task from moving.

use crate::ui::prelude::*;
use tasker_shared::ids::TaskUuid;
use tasker_shared::state::StepState;
use tasker_shared::why::{Alike, Cause, Reason, Why};

/// Steps that are named where many have one reason.
const MOST_NAMED: usize = 5;

/// Reasons that are shown.
const MOST_REASONS: usize = 20;

/// The reasons for these pages: what the command line can do about failures, which names each step, is
/// left out, so that steps that failed alike stand together.
pub(super) fn for_pages(mut why: Why) -> Why {
    for reason in why.reasons.iter_mut().filter(|reason| has_failed(reason)) {
        reason.action = None;
    }
    why
}

/// Whether something does not move by itself.
pub(super) fn is_stuck(why: &Why) -> bool {
    why.reasons.iter().any(|reason| !moves(reason.cause))
}

fn has_failed(reason: &Reason) -> bool {
    reason.state == Some(StepState::Error)
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
    let title = match () {
        () if why.reasons.iter().any(has_failed) => "Why it failed",
        () if is_stuck(why) => "Why it does not move",
        () => "What it waits for",
    };
    html! {
        @if !groups.is_empty() {
            section #why aria-labelledby="why-title" {
                h2 #why-title { (title) }
                @for group in groups.iter().take(MOST_REASONS) { (reason(group, group.roots[0], task_uuid)) }
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

fn reason(group: &Alike<'_>, first: &Reason, task_uuid: TaskUuid) -> Markup {
    let class = match first.state {
        Some(StepState::Error) => "problem",
        _ if moves(first.cause) => "panel",
        _ => "problem mild",
    };
    html! {
        div class=(class) {
            p { (names(&group.roots, task_uuid)) " " @if let Some(it) = first.state { (state(it.as_str())) } }
            p { (foreign(&first.detail)) }
            @if has_failed(first) {
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
                Some(name) => (step_link(task_uuid, name)),
                None => "The whole task",
            }
        }
        @if more > 0 { " and " (number(more)) " more" }
    }
}
