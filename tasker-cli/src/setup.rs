//! What every command starts from: the options that all of them take, the configuration and the
//! database.

use clap::Args;
use tasker_shared::config::{
    self, ConfigError, ConfigInputs, DatabaseConfig, LoadedConfig, Source, TaskerConfig,
};
use tasker_shared::database::Database;
use tasker_shared::error::Error;
use tasker_shared::schema::schema_state;

use crate::failure::Failure;
use crate::output::{Output, remark};
use crate::roles::running_dev::{self, RunningDev};

/// Connections that a command needs which is no role.
const CONNECTIONS_OF_A_COMMAND: u32 = 2;

/// The hint where nobody said where the database is.
const NOT_NAMED: &str = "DATABASE_URL is not set and no `tasker dev` runs: start `tasker dev`, or set \
     DATABASE_URL=postgres://USER:PASSWORD@HOST:PORT/DATABASE";

/// What the option for the database says.
const DATABASE: &str = "Address of the database, as postgres://USER:PASSWORD@HOST:PORT/DATABASE; \
     without it DATABASE_URL counts, then database.url of the configuration, if it is not the \
     default, then the `tasker dev` that runs";

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

    /// The database, with a schema that this build can use, for a command that makes a few calls.
    pub(crate) async fn database(&self) -> Result<Database, Failure> {
        let database = self.connect().await?;
        let state = schema_state(&database).await?;
        if state.is_usable() {
            Ok(database)
        } else {
            Err(Failure::new(state.to_string()).hint(state.hint()))
        }
    }

    /// The database, whatever is in it: the one that was named, else that of the `tasker dev` that
    /// runs.
    pub(crate) async fn connect(&self) -> Result<Database, Failure> {
        let loaded = load()?;
        let is_named = self.database_url.is_some() || names_database(&loaded);
        let mut config = loaded.config.database;
        if let Some(url) = &self.database_url {
            config.url = url.clone().into();
            config.listen_url = String::new().into();
        } else if !is_named && let Some(dev) = found_dev()? {
            remark(format!(
                "using the database of `tasker dev` (process {}, {}); DATABASE_URL names another",
                dev.pid,
                dev.data_dir.display()
            ));
            config.url = dev.database_url.into();
        }
        config.max_connections = config.max_connections.min(CONNECTIONS_OF_A_COMMAND);
        let connected = Database::connect(&config).await;
        connected.map_err(|error| match error {
            Error::Unavailable { .. } if !is_named => Failure::from(error).instead_hint(NOT_NAMED),
            error => error.into(),
        })
    }
}

/// Whether the user said where the database is. A file that repeats the default, as the one in a
/// checkout of Tasker does, does not say it.
fn names_database(loaded: &LoadedConfig) -> bool {
    match loaded.sources.get("database.url") {
        None | Some(Source::BuiltIn { .. }) => false,
        Some(Source::File { .. }) => loaded.config.database.url != DatabaseConfig::default().url,
        Some(Source::Variable { .. }) => true,
    }
}

/// The only `tasker dev` that runs, if there is one.
fn found_dev() -> Result<Option<RunningDev>, Failure> {
    let mut running = running_dev::all();
    if running.len() < 2 {
        return Ok(running.pop());
    }
    let mut lines =
        vec!["DATABASE_URL is not set, and more than one `tasker dev` runs:".to_owned()];
    lines.extend(running.iter().map(|dev| {
        format!(
            "  process {}, {}: export DATABASE_URL='{}'",
            dev.pid,
            dev.data_dir.display(),
            dev.database_url
        )
    }));
    Err(Failure::new(lines.join("\n")).hint("choose one of them"))
}

/// The configuration of this process, and where its values come from.
pub(crate) fn load() -> Result<LoadedConfig, Failure> {
    let unusable = |error: ConfigError| {
        Failure::new(format!("the configuration is not usable: {error}"))
            .hint("`tasker config --help` says where values come from")
    };
    config::load(ConfigInputs::of_process().map_err(unusable)?).map_err(unusable)
}
