//! A private PostgreSQL for the commands that bring their own.

use std::path::PathBuf;

use private_postgres::{PrivatePostgres, Settings, StartError};
use tasker_shared::config::TaskerConfig;
use tasker_shared::database::Database;
use tasker_shared::schema::migrate;
use tokio::task::spawn_blocking;

use crate::failure::Failure;

/// Name of the database in the private server.
const DATABASE: &str = "tasker";

/// A running private server with a database in it. Dropping it stops the server.
pub(crate) struct PrivateServer {
    server: PrivatePostgres,
}

impl PrivateServer {
    /// Starts the server and creates the database where it is missing.
    pub(crate) async fn start(settings: Settings) -> Result<Self, Failure> {
        let started = spawn_blocking(move || PrivatePostgres::start(settings)).await;
        let server = started
            .map_err(|error| Failure::new(format!("the start of PostgreSQL broke off: {error}")))?
            .map_err(|error| not_started(&error))?;
        server
            .create_database_if_missing(DATABASE)
            .await
            .map_err(|error| Failure::new(error.to_string()))?;
        Ok(Self { server })
    }

    /// Address of the database.
    pub(crate) fn url(&self) -> String {
        self.server.url(DATABASE)
    }

    /// Makes the configuration lead here, whatever it said before.
    pub(crate) fn configure(&self, config: &mut TaskerConfig) {
        config.database.url = self.url().into();
        config.database.listen_url = String::new().into();
    }

    /// The database with the schema of this build.
    pub(crate) async fn migrated(&self, config: &TaskerConfig) -> Result<Database, Failure> {
        let database = Database::connect(&config.database).await?;
        migrate(&database).await?;
        Ok(database)
    }

    /// The folder of the server.
    pub(crate) fn folder(&self) -> PathBuf {
        self.server.data_dir().to_owned()
    }

    /// What runs where, in one line.
    pub(crate) fn describe(&self) -> String {
        format!(
            "PostgreSQL {} in {}",
            self.server.binaries().version,
            self.server.data_dir().display()
        )
    }

    /// The supervisor of the server.
    pub(crate) fn postgres(&mut self) -> &mut PrivatePostgres {
        &mut self.server
    }

    /// Stops the server; its data is complete then.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        let stopped = spawn_blocking(move || self.server.stop()).await;
        match stopped {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Failure::new(format!("could not stop PostgreSQL: {error}"))),
            Err(error) => Err(Failure::new(format!(
                "the stop of PostgreSQL broke off: {error}"
            ))),
        }
    }
}

fn not_started(error: &StartError) -> Failure {
    let failure = Failure::new(error.to_string());
    match error {
        StartError::AlreadyRunning { .. } => failure.hint(
            "another `tasker dev` may run there; --data-dir chooses another folder, and \
             --ephemeral needs none",
        ),
        _ => failure,
    }
}
