//! What is in the way, each in a sentence, with what to do and where to look.

use maud::{Markup, html};
use tasker_shared::gauges::DatabaseGauges;
use tasker_shared::why::{Cause, CommonCause};

use super::looks::OLDEST_TASKS;
use super::seconds;
use crate::state::ComponentHealth;
use crate::ui::parts;

/// Problems that are shown.
const MOST_SHOWN: usize = 20;

/// Something in the way.
pub(in crate::ui) struct Trouble {
    /// Whether work stands still because of it.
    is_grave: bool,
    what: String,
    advice: String,
    /// The page that shows more.
    page: String,
}

impl Trouble {
    pub(in crate::ui) fn grave(what: String, advice: &str, page: &str) -> Self {
        let (advice, page) = (advice.to_owned(), page.to_owned());
        let is_grave = true;
        Self {
            is_grave,
            what,
            advice,
            page,
        }
    }

    pub(in crate::ui) fn mild(what: String, advice: &str, page: &str) -> Self {
        let is_grave = false;
        Self {
            is_grave,
            ..Self::grave(what, advice, page)
        }
    }
}

/// Shows what is in the way, the grave first. A link to the page that is shown is left out.
pub(in crate::ui) fn show(mut troubles: Vec<Trouble>, here: &str) -> Markup {
    troubles.sort_by_key(|trouble| !trouble.is_grave);
    html! {
        section #troubles aria-label="Problems" {
            @if troubles.is_empty() && here == "/ui" { p.note { "✓ No problems found." } }
            @for Trouble { is_grave, what, advice, page } in troubles.iter().take(MOST_SHOWN) {
                div.problem.mild[!is_grave] {
                    p { b { span aria-hidden="true" { (if *is_grave { "✕ " } else { "! " }) } (parts::foreign(what)) } }
                    p { (parts::foreign(advice)) @if page != here { " " a href=(page) { "Show" } } }
                }
            }
            @if troubles.len() > MOST_SHOWN { p { b { (troubles.len() - MOST_SHOWN) " more problems" } } }
        }
    }
}

/// What is wrong with the database as a whole; the limits are those of the rules for Prometheus.
pub(super) fn of_database(gauges: &DatabaseGauges) -> Vec<Trouble> {
    let held_back = seconds(gauges.held_back_seconds);
    let kept = parts::number(gauges.held_back_transactions);
    let notifications = gauges.notification_queue_usage;
    let all = [
        (gauges.live_orchestrators == 0).then(|| {
            let what = "No orchestrator runs: no step is started and no retry.".to_owned();
            Trouble::grave(what, "Start one: tasker orchestrator", "/ui/processes")
        }),
        (notifications > 0.1).then(|| {
            let full = notifications * 100.0;
            let what = format!("PostgreSQL's queue of notifications is {full:.0}% full.");
            let advice = "End the session that listens with a transaction open, or submissions will fail.";
            Trouble::grave(what, advice, "/ui")
        }),
        (gauges.held_back_seconds > 900.0).then(|| {
            let what = format!("A transaction open for {held_back} keeps vacuum from its work.");
            let advice = "Tables grow until it ends: see pg_stat_activity and pg_prepared_xacts.";
            Trouble::mild(what, advice, "/ui")
        }),
        (gauges.held_back_transactions > 10_000_000).then(|| {
            let what = format!("Dead rows of {kept} transactions are kept.");
            let advice = "Look for an unread replication slot, a standby with feedback or an old transaction.";
            Trouble::mild(what, advice, "/ui")
        }),
    ];
    all.into_iter().flatten().collect()
}

/// The loops of this process that fail.
pub(in crate::ui) fn of_loops(components: Vec<ComponentHealth>) -> impl Iterator<Item = Trouble> {
    let unhealthy = components.into_iter().filter(|it| !it.healthy);
    unhealthy.map(|ComponentHealth { name, detail, .. }| {
        let detail = detail.unwrap_or_default();
        let what = format!("The loop {name} of this process fails. {detail}");
        Trouble::grave(
            what,
            "It tries again by itself; the log says more.",
            "/ui/channels",
        )
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
    causes.filter_map(|it| {
        let what = format!(
            "{} of the {OLDEST_TASKS} oldest tasks: {}.",
            it.tasks, it.detail
        );
        let page = parts::task_address(it.task_uuid);
        Some(Trouble::mild(what, it.action.as_deref()?, &page))
    })
}
