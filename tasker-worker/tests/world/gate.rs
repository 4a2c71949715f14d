//! Handlers that wait for the test.

use std::sync::Arc;

use serde_json::{Value, json};
use tasker_testing::WAIT_TIMEOUT;
use tasker_worker::{HandlerError, Handlers, Step};
use tokio::sync::Semaphore;

/// A handler that says when it starts, and ends when it is let go.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) started: Arc<Semaphore>,
    go: Arc<Semaphore>,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self {
            started: Arc::new(Semaphore::new(0)),
            go: Arc::new(Semaphore::new(0)),
        }
    }

    pub(crate) fn handlers(&self) -> Handlers {
        let gate = self.clone();
        Handlers::new().register("gate", move |step: Step| gate.clone().pass(step))
    }

    pub(crate) async fn pass(self, step: Step) -> Result<Value, HandlerError> {
        self.started.add_permits(1);
        tokio::select! {
            permit = self.go.acquire() => permit?.forget(),
            () = step.cancellation().cancelled() => return Ok(json!("told")),
        }
        Ok(json!(step.attempt()))
    }

    pub(crate) async fn wait_for_start(&self) {
        let started = tokio::time::timeout(WAIT_TIMEOUT, self.started.acquire()).await;
        started.expect("a handler starts").unwrap().forget();
    }

    pub(crate) fn open(&self) {
        self.go.add_permits(1);
    }
}
