//! Results of the steps that a step depends on: given with it, or asked for one by one.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};
use tasker_shared::database::Database;
use tasker_shared::error::{Error, RefusalKind};
use tasker_shared::ids::StepId;
use tasker_shared::steps::dependency_result;

use crate::outcome::{HandlerError, INVALID_INPUT};

/// Kind of a failure because the database did not tell a result.
const UNAVAILABLE: &str = "dependency_unavailable";

/// The results that a step may read.
#[derive(Clone)]
pub(crate) struct Dependencies {
    pub(crate) given: Map<String, Value>,
    rest: Rest,
}

/// Where those results are that the step was not given.
#[derive(Clone)]
enum Rest {
    /// It was given all.
    Nowhere,
    /// It was given none, and asks for each.
    InDatabase(Arc<Database>),
    /// It runs outside of any worker.
    Detached,
}

impl Dependencies {
    /// Results that came with the step.
    pub(crate) const fn given(given: Map<String, Value>) -> Self {
        Self {
            given,
            rest: Rest::Nowhere,
        }
    }

    /// Results that are asked for.
    pub(crate) fn on_request(database: Arc<Database>) -> Self {
        Self {
            given: Map::new(),
            rest: Rest::InDatabase(database),
        }
    }

    /// Those of a step outside of any worker, which a test adds.
    pub(crate) fn detached() -> Self {
        Self {
            given: Map::new(),
            rest: Rest::Detached,
        }
    }

    /// The result of the step named `name`, where the step `of` was given it.
    pub(crate) fn get(&self, of: &str, name: &str) -> Result<&Value, HandlerError> {
        self.given.get(name).ok_or_else(|| match self.rest {
            Rest::InDatabase(_) => HandlerError::fail(format_args!(
                "step {of:?} has `dependency_results: on_request` in its template and was given no \
                 results; read that of step {name:?} with Step::fetch_dependency"
            ))
            .kind(INVALID_INPUT),
            Rest::Nowhere | Rest::Detached => unknown(of, name),
        })
    }

    /// The result, as JSON text, of a step that was not given.
    pub(crate) async fn fetch(
        &self,
        id: StepId,
        of: &str,
        name: &str,
    ) -> Result<String, HandlerError> {
        match &self.rest {
            Rest::InDatabase(database) => database
                .call("dependency_result", async |connection| {
                    dependency_result(connection, id, name).await
                })
                .await
                .map_err(|error| unread(name, &error)),
            Rest::Nowhere => Err(unknown(of, name)),
            Rest::Detached => Err(HandlerError::fail(format_args!(
                "there is no database to read the result of step {name:?} from, because the step is \
                 detached; give it one with Step::with_dependency"
            ))
            .kind(INVALID_INPUT)),
        }
    }
}

/// What the database said, and whether to ask again: a name stays wrong.
fn unread(name: &str, error: &Error) -> HandlerError {
    if error.refusal().map(|refusal| refusal.kind) == Some(RefusalKind::NotFound) {
        return HandlerError::fail(error).kind(INVALID_INPUT);
    }
    HandlerError::retry(format_args!(
        "could not read the result of step {name:?}: {error}"
    ))
    .kind(UNAVAILABLE)
}

fn unknown(of: &str, name: &str) -> HandlerError {
    HandlerError::fail(format_args!(
        "step {of:?} does not depend on a step named {name:?}; list it in depends_on"
    ))
    .kind(INVALID_INPUT)
}

/// Without the database, whose options hold a password.
impl fmt::Debug for Dependencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dependencies")
            .field("given", &self.given)
            .finish_non_exhaustive()
    }
}
