//! What is in the way, each in a sentence, with what to do and where to look.

use tasker_shared::gauges::DatabaseGauges;
use tasker_shared::why::{Cause, CommonCause};

use super::looks::OLDEST_TASKS;
use crate::state::ComponentHealth;
use crate::ui::prelude::*;

/// Problems that are shown.
const MOST_SHOWN: usize = 20;

/// Something in the way.
#[derive(Clone)]
pub(super) struct Trouble {
    /// Whether work stands still because of it.
    is_grave: bool,
    what: String,
    advice: String,
    /// The page that shows more.
    page: String,
}

impl Trouble {
    pub(super) fn grave(what: impl Into<String>, advice: impl Into<String>, page: &str) -> Self {
        Self {
            is_grave: true,
            what: what.into(),
            advice: advice.into(),
            page: page.to_owned(),
        }
    }

    pub(super) fn mild(what: impl Into<String>, advice: impl Into<String>, page: &str) -> Self {
        Self {
            is_grave: false,
            ..Self::grave(what, advice, page)
        }
    }
}

/// Shows what is in the way, the grave first. A link to the page that is shown is left out.
pub(super) fn show(mut troubles: Vec<Trouble>, here: &str) -> Markup {
    troubles.sort_by_key(|trouble| !trouble.is_grave);
    html! {
        section #troubles aria-label="Problems" {
            @if troubles.is_empty() && here == OVERVIEW { p.note { "✓ No problems found." } }
            @for Trouble { is_grave, what, advice, page } in troubles.iter().take(MOST_SHOWN) {
                div.problem.mild[!is_grave] {
                    p { b { span aria-hidden="true" { (if *is_grave { "✕ " } else { "! " }) } (foreign(what)) } }
                    p { (foreign(advice)) @if page != here { " " a href=(page) { "Show" } } }
                }
            }
            @if troubles.len() > MOST_SHOWN { p { b { (troubles.len() - MOST_SHOWN) " more problems" } } }
        }
    }
}

/// What is wrong with the database as a whole; the limits are those of the rules for Prometheus.
pub(super) fn of_database(gauges: &DatabaseGauges) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    if gauges.live_orchestrators == 0 {
        let what = "No orchestrator runs: no step is started and no retry.";
        troubles.push(Trouble::grave(
            what,
            "Start one: tasker orchestrator",
            PROCESSES,
        ));
    }
    if gauges.notification_queue_usage > 0.1 {
        let full = gauges.notification_queue_usage * 100.0;
        let what = format!("PostgreSQL's queue of notifications is {full:.0}% full.");
        let advice =
            "End the session that listens with a transaction open, or submissions will fail.";
        troubles.push(Trouble::grave(what, advice, OVERVIEW));
    }
    if gauges.held_back_seconds > 900.0 {
        let open = seconds(gauges.held_back_seconds);
        let what = format!("A transaction open for {open} keeps vacuum from its work.");
        let advice = "Tables grow until it ends: see pg_stat_activity and pg_prepared_xacts.";
        troubles.push(Trouble::mild(what, advice, OVERVIEW));
    }
    if gauges.held_back_transactions > 10_000_000 {
        let kept = number(gauges.held_back_transactions);
        let what = format!("Dead rows of {kept} transactions are kept.");
        let advice =
            "Look for an unread replication slot, a standby with feedback or an old transaction.";
        troubles.push(Trouble::mild(what, advice, OVERVIEW));
    }
    troubles
}

/// The loops of this process that fail.
pub(super) fn of_loops(components: Vec<ComponentHealth>) -> impl Iterator<Item = Trouble> {
    let unhealthy = components.into_iter().filter(|it| !it.healthy);
    unhealthy.map(|ComponentHealth { name, detail, .. }| {
        let detail = detail.unwrap_or_default();
        let what = format!("The loop {name} of this process fails. {detail}");
        let advice = "It tries again by itself; the log says more.";
        Trouble::grave(what, advice, CHANNELS)
    })
}

/// What the oldest tasks wait for that needs a person, and that nothing else here tells.
pub(super) fn of_oldest_tasks(causes: &[CommonCause]) -> impl Iterator<Item = Trouble> {
    use Cause::{NoOrchestrator, NoWorker, QueueDamaged, QueueNotRefilled, UnknownHandler};
    let told = [
        NoOrchestrator,
        NoWorker,
        QueueDamaged,
        QueueNotRefilled,
        UnknownHandler,
    ];
    let causes = causes.iter().filter(move |it| !told.contains(&it.cause));
    causes.filter_map(
        |CommonCause {
             tasks,
             detail,
             action,
             task_uuid,
             ..
         }| {
            let what = format!("{tasks} of the {OLDEST_TASKS} oldest tasks: {detail}.");
            Some(Trouble::mild(
                what,
                action.as_deref()?,
                &task_address(*task_uuid),
            ))
        },
    )
}
