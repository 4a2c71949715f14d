//! The processes that a workload is measured on: new ones each time, so that what they hold and
//! what they have used is this workload's.

use std::time::Duration;

use tasker_shared::database::Database;

use crate::commands::bench::client::Client;
use crate::commands::bench::usage::{Processes, Usage};
use crate::failure::Failure;
use crate::roles::children::{Role, Workplace};

/// How many dependents a worker goes on with by itself, as the configuration says by default.
const CONTINUATION_LIMIT: &str = "16";

/// Time for new processes to have done what they do once.
const SETTLE: Duration = Duration::from_millis(300);

/// An orchestrator with the API, and perhaps a worker.
pub(crate) struct Stage<'a> {
    workplace: &'a Workplace,
    /// The database.
    pub(crate) database: &'a Database,
    /// A client of the API.
    pub(crate) client: Client,
    orchestrator: Role,
    worker: Option<Role>,
    postgres: u32,
}

impl<'a> Stage<'a> {
    /// Starts an orchestrator with these environment variables.
    pub(crate) async fn start(
        workplace: &'a Workplace,
        database: &'a Database,
        postgres: u32,
        environment: &[(&str, &str)],
    ) -> Result<Self, Failure> {
        let arguments = ["orchestrator", "--bind", "127.0.0.1:0"];
        let mut orchestrator = workplace.start_with("orchestrator", &arguments, environment)?;
        let answer = orchestrator.answer().await?;
        Ok(Self {
            workplace,
            database,
            client: Client::new(answer["api"].as_str().unwrap_or_default()),
            orchestrator,
            worker: None,
            postgres,
        })
    }

    /// Starts the worker.
    pub(crate) async fn start_worker(&mut self, continuation: bool) -> Result<(), Failure> {
        let limit = if continuation {
            CONTINUATION_LIMIT
        } else {
            "0"
        };
        let mut worker = self
            .workplace
            .start("worker", &["bench", "--as-worker", limit])?;
        worker.answer().await?;
        self.worker = Some(worker);
        tokio::time::sleep(SETTLE).await;
        Ok(())
    }

    /// The processes.
    pub(crate) fn processes(&self) -> Processes {
        Processes {
            orchestrator: self.orchestrator.pid(),
            worker: self.worker.as_ref().map(Role::pid),
            postgres: self.postgres,
        }
    }

    /// What has been used so far.
    pub(crate) async fn usage(&self) -> Result<Usage, Failure> {
        Usage::measure(self.database, self.processes(), self.client.steps()).await
    }

    /// Stops the processes; gives the number of steps that were submitted.
    pub(crate) async fn stop(mut self) -> Result<f64, Failure> {
        self.orchestrator.check()?;
        if let Some(mut worker) = self.worker {
            worker.check()?;
            worker.stop().await?;
        }
        let steps = self.client.steps();
        self.orchestrator.stop().await?;
        Ok(steps)
    }
}
