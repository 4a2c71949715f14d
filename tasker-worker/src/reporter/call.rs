//! The call that records outcomes.

use std::sync::Arc;

use tasker_shared::database::DedicatedConnection;
use tasker_shared::error::Error;
use tasker_shared::steps::{Continuation, Locks, ReportOptions, Reported, record_outcomes};

use super::Reporting;
use super::part::Part;
use crate::chain::Chain;
use crate::places::{Places, Promise};

/// How a part is recorded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// What it brings about is announced after its commit.
    Batch(Locks),
    /// It is a single outcome, and nothing waits behind it: with its commit, which is soonest.
    Announced,
}

/// Records these outcomes, with what may follow them, and answers also the places that were kept for that.
pub(super) async fn complete(
    settings: &Reporting,
    connection: &mut DedicatedConnection,
    places: &Arc<Places>,
    part: &Part,
    way: Way,
) -> Result<(Reported, Promise), Error> {
    let continuation = Continuation {
        // Asked again: the outcome may have waited for the database longer than its lease.
        may_continue: part
            .companions
            .iter()
            .map(|it| it.chain.as_ref().is_some_and(Chain::may_continue))
            .collect(),
        handlers: &settings.continues_with,
        lease: settings.lease,
    };
    let following = continuation.may_continue.iter().filter(|it| **it).count();
    let starts_beside = settings.enqueues && following > 0 && way != Way::Batch(Locks::Skip);
    let most_beside = if starts_beside {
        settings.most_beside
    } else {
        0
    };
    let promise = places.promise(following, most_beside);
    let called = connection
        .call("complete_steps", async |connection| {
            // What was in an answer that got lost is asked for again.
            let continues = part.is_uncertain() || following > 0;
            let options = ReportOptions {
                locks: match way {
                    Way::Batch(locks) => locks,
                    Way::Announced => Locks::Wait,
                },
                announces: way == Way::Announced,
                enqueues: settings.enqueues,
                continuation: continues.then_some(&continuation),
                room: promise.beside(),
            };
            record_outcomes(connection, &settings.worker, &part.reports, options).await
        })
        .await;
    match called {
        Ok(reported) => Ok((reported, promise)),
        Err(error) => {
            promise.take(0).await;
            Err(error)
        }
    }
}
