//! What every command starts from: the options that all of them take, the configuration and the
//! database.

use clap::Args;
use tasker_shared::config::{self, ConfigError, ConfigInputs, LoadedConfig, TaskerConfig};
use tasker_shared::database::Database;

use crate::failure::Failure;
use crate::output::Output;

/// Connections that a command needs which is no role.
const CONNECTIONS_OF_A_COMMAND: u32 = 2;

/// What the option for the database says.
const DATABASE: &str = "Address of the database, as postgres://USER:PASSWORD@HOST:PORT/DATABASE; \
     without it DATABASE_URL counts, then database.url of the configuration";

/// The options that every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Setup {
    /// Print the answer as JSON on standard output (one document, or one line each in a stream)
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,

    #[arg(
        long,
        global = true,
        value_name = "URL",
        help_heading = "Global options",
        help = DATABASE
    )]
    pub(crate) database_url: Option<String>,
}

impl Setup {
    /// Where the answer goes.
    pub(crate) fn output(&self) -> Output {
        Output::new(self.json)
    }

    /// The configuration, with the database that was named.
    pub(crate) fn config(&self) -> Result<TaskerConfig, Failure> {
        let mut config = load()?.config;
        if let Some(url) = &self.database_url {
            config.database.url = url.clone().into();
            config.database.listen_url = String::new().into();
        }
        Ok(config)
    }

    /// The database, for a command that makes a few calls.
    pub(crate) async fn database(&self) -> Result<Database, Failure> {
        let mut config = self.config()?.database;
        config.max_connections = config.max_connections.min(CONNECTIONS_OF_A_COMMAND);
        Ok(Database::connect(&config).await?)
    }
}

/// The configuration of this process, and where its values come from.
pub(crate) fn load() -> Result<LoadedConfig, Failure> {
    let unusable = |error: ConfigError| {
        Failure::new(format!("the configuration is not usable: {error}"))
            .hint("`tasker config --help` says where values come from")
    };
    config::load(ConfigInputs::of_process().map_err(unusable)?).map_err(unusable)
}
