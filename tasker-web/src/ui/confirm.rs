//! What is asked before something is done: each act has a page of its own, with a reason.

use super::fields::{Field, Kind, Scalar};
use crate::operate::check_reason;
use crate::ui::prelude::*;

/// Who the history says acted through these pages.
pub(crate) const ACTOR: &str = "operator:ui";

/// The input of the reason.
pub(crate) const REASON: &str = "reason";

/// What is about to be done.
pub(crate) struct Question<'a> {
    /// What its button says.
    pub(crate) label: &'a str,
    /// To what it is done.
    pub(crate) about: Markup,
    /// What it does.
    pub(crate) effect: Markup,
    /// Whether it cannot be undone.
    pub(crate) is_grave: bool,
    /// Where the form is sent, and where the way back leads.
    pub(crate) address: &'a str,
    pub(crate) back: &'a str,
    /// The fields of the form.
    pub(crate) fields: Markup,
}

/// The page that asks.
pub(crate) fn ask(question: &Question<'_>) -> Page {
    let Question {
        label,
        address,
        back,
        ..
    } = question;
    let class = if question.is_grave {
        "danger"
    } else {
        "primary"
    };
    let content = html! {
        h1 { (label) ": " (question.about) }
        (question.effect)
        form method="post" action=(address) {
            (question.fields)
            div.actions {
                button class=(class) { (label) }
                a.button data-cancel href=(back) { "Back" }
            }
        }
    };
    Page::still(TASKS, *label, content)
}

/// The field of the reason.
pub(crate) fn reason_field() -> Field {
    let hint = "Kept in the history. May be left empty.";
    Field::plain(REASON, "Reason", hint, Kind::One(Scalar::Text))
}

/// The reason that was typed, if any.
pub(crate) fn read_reason(typed: &str) -> Result<Option<&str>, Problem> {
    let reason = Some(typed.trim()).filter(|reason| !reason.is_empty());
    check_reason(reason)?;
    Ok(reason)
}
