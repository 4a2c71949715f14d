//! The private server that the worlds of a process share, and the databases on it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use private_postgres::{Durability, PrivatePostgres, Settings};
use tasker_shared::config::{DatabaseConfig, TaskerConfig};
use tasker_shared::database::Database;
use tasker_shared::schema::migrate;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

/// The database that all others are copies of.
const TEMPLATE: &str = "tasker_template";
/// Tests of a process run side by side, each with some connections of its worker and a pool.
const MAX_CONNECTIONS: u32 = 400;
/// How long a connection may take on a busy machine, in milliseconds.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);

/// Makes a migrated database; gives its name and its URL.
pub(super) async fn create_database() -> Result<(String, String)> {
    static NUMBER: AtomicUsize = AtomicUsize::new(1);
    static MIGRATED: OnceCell<()> = OnceCell::const_new();
    let server = blocking(server).await?;
    MIGRATED
        .get_or_try_init(async || migrated(server).await)
        .await?;
    let name = format!("world_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let url = server.url(&name);
    server.copy_database(TEMPLATE, &name).await?;
    Ok((name, url))
}

/// Removes a database.
pub(super) async fn drop_database(name: &str) -> Result<()> {
    Ok(blocking(server).await?.drop_database(name).await?)
}

/// The configuration of a database of a test.
pub(super) fn config(url: &str) -> DatabaseConfig {
    DatabaseConfig {
        url: url.into(),
        acquire_timeout: ACQUIRE_TIMEOUT,
        ..TaskerConfig::default().database
    }
}

/// The server, started by the first test that needs it. It ends with the process.
fn server() -> Result<&'static PrivatePostgres> {
    static SERVER: OnceLock<Result<PrivatePostgres, String>> = OnceLock::new();
    let started = SERVER.get_or_init(|| {
        let settings = Settings::ephemeral()
            .durability(Durability::Disposable)
            .max_connections(MAX_CONNECTIONS)
            .set("shared_buffers", "128MB");
        PrivatePostgres::start(settings).map_err(|error| error.to_string())
    });
    started
        .as_ref()
        .map_err(|error| anyhow!("the private PostgreSQL did not start: {error}"))
}

/// Makes the database that is copied. All connections to it are closed on return.
async fn migrated(server: &'static PrivatePostgres) -> Result<()> {
    server.create_database_if_missing(TEMPLATE).await?;
    let database = Database::connect(&config(&server.url(TEMPLATE))).await?;
    let migrated = migrate(&database).await;
    database.pool().close().await;
    migrated.context("could not migrate")?;
    Ok(())
}

async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    spawn_blocking(act).await.context("a thread broke off")?
}
