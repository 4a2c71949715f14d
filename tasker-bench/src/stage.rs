//! The processes that a workload is measured on: new ones each time, so that what they hold and
//! what they have used is this workload's.

use std::env;
use std::time::Duration;

use anyhow::{Result, ensure};
use private_postgres::PrivatePostgres;
use serde_json::Value;
use tasker_shared::database::Database;
use tasker_testing::{TaskerBinary, TaskerProcess};

use crate::client::{Client, NOOP, Shape};
use crate::stopwatch;
use crate::usage::{Processes, Usage};

/// Name of the database that is measured.
pub(crate) const DATABASE: &str = "tasker";

/// How many dependents a worker goes on with by itself, as the configuration says by default.
const CONTINUATION_LIMIT: &str = "16";

/// Tasks before the first that is measured.
pub(crate) const WARM_UP: u32 = 20;

/// Time for new processes to have done what they do once.
const SETTLE: Duration = Duration::from_millis(300);

/// How long a process may take to start, or to stop.
const PROCESS_TIMEOUT: Duration = Duration::from_secs(30);

/// An orchestrator with the API, and perhaps a worker.
pub(crate) struct Stage<'a> {
    /// The server of the database.
    pub(crate) server: &'a PrivatePostgres,
    /// The database.
    pub(crate) database: &'a Database,
    /// A client of the API.
    pub(crate) client: Client,
    orchestrator: TaskerProcess,
    worker: Option<TaskerProcess>,
    /// Further orchestrators, each with a client of its API, and workers.
    more: Vec<(Client, TaskerProcess, TaskerProcess)>,
    /// What each process is told by its environment.
    environment: Vec<(&'a str, &'a str)>,
}

impl<'a> Stage<'a> {
    /// Starts an orchestrator of the built binary; each process has these environment variables, and
    /// the orchestrator more.
    pub(crate) async fn start(
        server: &'a PrivatePostgres,
        database: &'a Database,
        environment: &'a [(&'a str, &'a str)],
        orchestrator: &[(&str, &str)],
    ) -> Result<Self> {
        let url = server.url(DATABASE);
        let variables = [&configuration(&url), environment, orchestrator].concat();
        let (client, orchestrator) = start_orchestrator(&variables).await?;
        Ok(Self {
            server,
            database,
            client,
            orchestrator,
            worker: None,
            more: Vec::new(),
            environment: environment.to_vec(),
        })
    }

    /// Starts the worker: this program in its other role.
    pub(crate) async fn start_worker(&mut self, continuation: bool) -> Result<()> {
        self.worker = Some(self.spawn_worker(continuation).await?);
        tokio::time::sleep(SETTLE).await;
        Ok(())
    }

    /// Starts one more orchestrator, and one more worker.
    pub(crate) async fn start_more(&mut self, continuation: bool) -> Result<()> {
        let url = self.url();
        let variables = [&configuration(&url), &*self.environment].concat();
        let (client, orchestrator) = start_orchestrator(&variables).await?;
        let worker = self.spawn_worker(continuation).await?;
        self.more.push((client, orchestrator, worker));
        tokio::time::sleep(SETTLE).await;
        Ok(())
    }

    async fn spawn_worker(&self, continuation: bool) -> Result<TaskerProcess> {
        let limit = if continuation {
            CONTINUATION_LIMIT
        } else {
            "0"
        };
        let program = TaskerBinary::at(env::current_exe()?);
        let url = self.url();
        let variables = [&configuration(&url), &*self.environment].concat();
        let mut worker = program.spawn(&["--as-worker", limit], &variables);
        worker
            .wait_for_line(stopwatch::STARTED, PROCESS_TIMEOUT)
            .await;
        Ok(worker)
    }

    /// The address of the database.
    pub(crate) fn url(&self) -> String {
        self.server.url(DATABASE)
    }

    /// A client of one of the orchestrators, of each in turn.
    pub(crate) fn client_of(&self, number: u32) -> &Client {
        let clients: Vec<&Client> = [&self.client]
            .into_iter()
            .chain(self.more.iter().map(|(client, ..)| client))
            .collect();
        clients[number as usize % clients.len()]
    }

    /// A template of four steps, one after the other, that do nothing.
    pub(crate) async fn linear4(&self) -> Result<Shape> {
        self.client.apply_linear("linear4", 4, NOOP).await
    }

    /// A template of steps, one after the other, that do nothing but tell when.
    pub(crate) async fn stopwatch(&self, name: &'static str, steps: u32) -> Result<Shape> {
        let handler = stopwatch::HANDLER;
        self.client.apply_linear(name, steps, handler).await
    }

    /// The processes.
    pub(crate) fn processes(&self) -> Processes {
        Processes {
            orchestrator: self.orchestrator.pid(),
            worker: self.worker.as_ref().map(TaskerProcess::pid),
            postgres: self.server.pid().unwrap_or_default(),
        }
    }

    /// What has been used so far.
    pub(crate) async fn usage(&self) -> Result<Usage> {
        Usage::measure(self.database, self.processes(), self.client.steps()).await
    }

    /// What the processes have printed so far.
    pub(crate) fn output(&self) -> String {
        let more = self.more.iter().flat_map(|(_, one, other)| [one, other]);
        let processes = self.worker.iter().chain([&self.orchestrator]).chain(more);
        processes.map(TaskerProcess::output).collect()
    }

    /// Stops the processes; gives the number of steps that were submitted.
    pub(crate) async fn stop(self) -> Result<f64> {
        let more = self
            .more
            .into_iter()
            .flat_map(|(_, one, other)| [other, one]);
        let processes = self.worker.into_iter().chain([self.orchestrator]);
        for mut process in processes.chain(more) {
            let status = process.terminate(PROCESS_TIMEOUT).await;
            ensure!(
                status.success(),
                "a process did not stop cleanly ({status}):\n{}",
                process.output()
            );
        }
        Ok(self.client.steps())
    }
}

async fn start_orchestrator(variables: &[(&str, &str)]) -> Result<(Client, TaskerProcess)> {
    let arguments = ["--json", "orchestrator", "--bind", "127.0.0.1:0"];
    let mut process = TaskerBinary::locate().spawn(&arguments, variables);
    let answer = process.wait_for_line("{\"api\":", PROCESS_TIMEOUT);
    let answer: Value = serde_json::from_str(&answer.await)?;
    let client = Client::new(answer["api"].as_str().unwrap_or_default());
    Ok((client, process))
}

/// A process is configured by nothing but this and its arguments.
fn configuration(url: &str) -> [(&str, &str); 2] {
    [("DATABASE_URL", url), ("TASKER_ENV", "production")]
}
