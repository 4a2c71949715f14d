//! What became of a task: its moves, the latest first.

use crate::ui::prelude::*;
use tasker_shared::ids::TaskUuid;
use tasker_shared::tasks::Move;

/// How the actors begin that are people.
const OPERATOR: &str = "operator";

/// How the reason begins of what was done by an act on many tasks; its UUID follows.
const BULK: &str = "bulk ";

/// Characters of a UUID.
const UUID: usize = 36;

/// The moves; `most` are there at most.
pub(super) fn list(task_uuid: TaskUuid, moves: &[Move], most: i32) -> Markup {
    let is_cut = usize::try_from(most).is_ok_and(|most| moves.len() >= most);
    let rows = moves.iter().map(|one| row(task_uuid, one));
    html! {
        h2 #history { "History" }
        @if moves.is_empty() {
            p.none { "Nothing has happened yet." }
        } @else {
            (table("History", ["When", "What", "Moved", "By", "Why"], rows))
        }
        p.note {
            @if is_cut { "The latest " (most) " moves. " }
            a href=(format!("/v1/tasks/{task_uuid}/history")) { "The whole history as JSON" }
        }
    }
}

fn row(task_uuid: TaskUuid, one: &Move) -> (String, [Markup; 5]) {
    let cells = [
        moment(one.at),
        html! {
            @match &one.step_name {
                Some(name) => (step_link(task_uuid, name)),
                None => b { "The task" },
            }
            @if let Some(attempt) = one.attempt.filter(|attempt| *attempt > 1) { span.note { ", attempt " (attempt) } }
        },
        html! { span.note { (in_words(&one.from_state)) " → " } (in_words(&one.to_state)) },
        actor(one),
        reason(one),
    ];
    (String::new(), cells)
}

/// Who it was, and whether a person.
pub(super) fn actor(one: &Move) -> Markup {
    let is_person = one
        .actor
        .as_ref()
        .is_some_and(|actor| actor.starts_with(OPERATOR));
    let actor = foreign_if_any(one.actor.as_ref());
    if is_person {
        return html! { b { "✎ " (actor) } };
    }
    actor
}

/// What was said; where it was done to many tasks at once, with a link to that.
fn reason(one: &Move) -> Markup {
    let reason = one.reason.as_deref().unwrap_or_default();
    let bulk = reason
        .strip_prefix(BULK)
        .and_then(|rest| rest.split_at_checked(UUID));
    html! {
        @match bulk.filter(|(uuid, _)| uuid.parse::<TaskUuid>().is_ok()) {
            Some((uuid, said)) => { a href=(format!("/ui/bulk/{uuid}")) { "with many tasks" } (foreign(said)) },
            None => @if !reason.is_empty() { (foreign(reason)) },
        }
        @if let Some(error) = &one.error { div.text.bad { (foreign(&error_text(&error.0))) } }
    }
}

/// An error in one line.
pub(super) fn error_text(error: &serde_json::Value) -> String {
    let of = |member: &str| error[member].as_str().unwrap_or_default();
    format!("{}: {}", of("kind"), of("message"))
}
