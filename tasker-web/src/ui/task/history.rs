//! What became of a task: its moves, the latest first.

use maud::{Markup, html};
use tasker_shared::ids::TaskUuid;
use tasker_shared::tasks::Move;

use super::step_address;
use crate::ui::parts::{dash, foreign, in_words, moment};

/// How the actors begin that are people.
const OPERATOR: &str = "operator";

/// How the reason begins of what was done by an act on many tasks; its UUID follows.
const BULK: &str = "bulk ";

/// Characters of a UUID.
const UUID: usize = 36;

/// The moves; `most` are there at most.
pub(super) fn table(task_uuid: TaskUuid, moves: &[Move], most: i32) -> Markup {
    let is_cut = usize::try_from(most).is_ok_and(|most| moves.len() >= most);
    html! {
        h2 #history { "History" }
        @if moves.is_empty() {
            p.none { "Nothing has happened yet." }
        } @else {
            div.scroll tabindex="0" role="region" aria-label="History" {
                table {
                    thead { tr {
                        th scope="col" { "When" } th scope="col" { "What" } th scope="col" { "Moved" }
                        th scope="col" { "By" } th scope="col" { "Why" }
                    } }
                    tbody { @for one in moves { (row(task_uuid, one)) } }
                }
            }
        }
        p.note {
            @if is_cut { "The latest " (most) " moves. " }
            a href=(format!("/v1/tasks/{task_uuid}/history")) { "The whole history as JSON" }
        }
    }
}

fn row(task_uuid: TaskUuid, one: &Move) -> Markup {
    let by_operator = one.actor.as_deref().is_some_and(is_operator);
    html! {
        tr class=[by_operator.then_some("by-operator")] {
            td { (moment(one.at)) }
            td {
                @match &one.step_name {
                    Some(name) => a href=(step_address(task_uuid, name)) { (foreign(name)) },
                    None => b { "The task" },
                }
                @if let Some(attempt) = one.attempt.filter(|attempt| *attempt > 1) { span.note { ", attempt " (attempt) } }
            }
            td { span.note { (in_words(&one.from_state)) " → " } (in_words(&one.to_state)) }
            td { (actor(one.actor.as_deref())) }
            td { (reason(one)) }
        }
    }
}

fn is_operator(actor: &str) -> bool {
    actor.starts_with(OPERATOR)
}

/// Who it was, and whether a person.
pub(super) fn actor(actor: Option<&str>) -> Markup {
    html! {
        @match actor {
            Some(actor) if is_operator(actor) => { b { "✎ " (foreign(actor)) } },
            Some(actor) => (foreign(actor)),
            None => (dash()),
        }
    }
}

/// What was said; where it was done to many tasks at once, with a link to that.
fn reason(one: &Move) -> Markup {
    let error = one.error.as_ref().map(|error| error_text(&error.0));
    let reason = one.reason.as_deref().unwrap_or_default();
    let bulk = reason
        .strip_prefix(BULK)
        .and_then(|rest| rest.split_at_checked(UUID));
    html! {
        @match bulk.filter(|(uuid, _)| uuid.parse::<TaskUuid>().is_ok()) {
            Some((uuid, said)) => {
                a href=(format!("/ui/bulk/{uuid}")) { "with many tasks" } (foreign(said))
            }
            None => (foreign(reason)),
        }
        @if let Some(error) = error { span.error-text { (foreign(&error)) } }
    }
}

/// An error in one line.
pub(super) fn error_text(error: &serde_json::Value) -> String {
    let of = |member: &str| error[member].as_str().unwrap_or_default();
    format!("{}: {}", of("kind"), of("message"))
}
