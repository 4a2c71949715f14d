//! The server that all tests of one process share, and the thread that makes databases on it.
//!
//! The thread has a runtime of its own, because each test has one that ends with the test, and a
//! connection cannot outlive the runtime it was opened in. The server is private and disposable
//! unless `TASKER_TEST_DATABASE_URL` names one whose user may create databases.

use std::env;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow};
use private_postgres::{Durability, PrivatePostgres, Settings};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use tasker_shared::config::{DatabaseConfig, TaskerConfig};
use tasker_shared::database::Database;
use tokio::sync::oneshot;
use uuid::Uuid;

/// Names a server to use instead of a private one.
const SERVER_VARIABLE: &str = "TASKER_TEST_DATABASE_URL";
/// Names of test databases start so; a time-ordered uuid follows.
const PREFIX: &str = "tasker_test_";
/// Test databases older than this were left behind by a process that was killed.
const LEFT_BEHIND: Duration = Duration::from_hours(2);
/// Requests that wait for the thread.
const REQUESTS: usize = 256;
/// Tests of one process run side by side, each with a pool or two.
const MAX_CONNECTIONS: u32 = 400;

/// What a new database holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Migrated,
    Nothing,
}

enum Request {
    Create {
        content: Content,
        answer: oneshot::Sender<Result<NewDatabase, String>>,
    },
    Drop {
        name: String,
    },
}

/// A database that was just made.
pub(crate) struct NewDatabase {
    pub(crate) name: String,
    pub(crate) url: String,
}

/// Makes a database on the shared server.
pub(crate) async fn create(content: Content) -> Result<NewDatabase> {
    let (answer, answered) = oneshot::channel();
    requests()
        .try_send(Request::Create { content, answer })
        .context("too many databases")?;
    answered
        .await
        .context("the thread that makes test databases is gone")?
        .map_err(|e| anyhow!(e))
}

/// Drops a database some time later. The end of the process may come first.
pub(crate) fn drop_later(name: String) {
    let _ = requests().try_send(Request::Drop { name });
}

fn requests() -> &'static SyncSender<Request> {
    static REQUESTS_SENDER: OnceLock<SyncSender<Request>> = OnceLock::new();
    REQUESTS_SENDER.get_or_init(|| {
        let (sender, receiver) = sync_channel(REQUESTS);
        thread::Builder::new()
            .name("test-databases".into())
            .spawn(move || serve(&receiver))
            .expect("a process can start a thread");
        sender
    })
}

fn serve(requests: &Receiver<Request>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a thread can have a runtime");
    let mut admin = Err("not started".to_owned());
    for request in requests {
        if admin.is_err() {
            admin = runtime
                .block_on(Admin::start())
                .map_err(|error| format!("{error:#}"));
        }
        match (request, &mut admin) {
            (Request::Create { content, answer }, Ok(admin)) => {
                let made = runtime.block_on(admin.create(content));
                let _ = answer.send(made.map_err(|error| format!("{error:#}")));
            }
            (Request::Create { answer, .. }, Err(error)) => {
                let _ = answer.send(Err(error.clone()));
            }
            (Request::Drop { name }, Ok(admin)) => {
                let _ = runtime.block_on(admin.drop_database(&name));
            }
            (Request::Drop { .. }, Err(_)) => {}
        }
    }
}

struct Admin {
    server: Server,
    connection: PgConnection,
    /// The database that migrated ones are copied from.
    template: Option<String>,
}

enum Server {
    Private(Box<PrivatePostgres>),
    Given(Box<PgConnectOptions>),
}

impl Server {
    fn start() -> Result<Self> {
        if let Ok(url) = env::var(SERVER_VARIABLE) {
            let options = url
                .parse()
                .map_err(|_| anyhow!("{SERVER_VARIABLE} is not a URL"))?;
            return Ok(Self::Given(Box::new(options)));
        }
        let settings = Settings::ephemeral()
            .durability(Durability::Disposable)
            .max_connections(MAX_CONNECTIONS)
            .set("max_prepared_transactions", "10")
            .set("shared_buffers", "128MB");
        Ok(Self::Private(Box::new(PrivatePostgres::start(settings)?)))
    }

    fn url(&self, database: &str) -> String {
        match self {
            Self::Private(server) => server.url(database),
            Self::Given(options) => options
                .clone()
                .database(database)
                .to_url_lossy()
                .to_string(),
        }
    }

    fn admin_url(&self) -> String {
        match self {
            Self::Private(server) => server.url("postgres"),
            Self::Given(options) => options.to_url_lossy().to_string(),
        }
    }
}

impl Admin {
    async fn start() -> Result<Self> {
        let server = Server::start().context("could not start a server for the tests")?;
        let connection = PgConnection::connect(&server.admin_url())
            .await
            .context("could not connect to the server for the tests")?;
        let mut admin = Self {
            server,
            connection,
            template: None,
        };
        if matches!(admin.server, Server::Given(_)) {
            admin.drop_left_behind().await?;
        }
        Ok(admin)
    }

    async fn create(&mut self, content: Content) -> Result<NewDatabase> {
        let source = match (content, &self.template) {
            (Content::Nothing, _) => "template0".to_owned(),
            (Content::Migrated, Some(template)) => template.clone(),
            (Content::Migrated, None) => {
                let template = self.copy("template0").await?;
                migrate(&self.server.url(&template))
                    .await
                    .context("could not migrate")?;
                self.template = Some(template.clone());
                template
            }
        };
        let name = self.copy(&source).await?;
        let url = self.server.url(&name);
        Ok(NewDatabase { name, url })
    }

    async fn copy(&mut self, source: &str) -> Result<String> {
        let name = format!("{PREFIX}{}", Uuid::now_v7().simple());
        self.execute(format!("create database {name} template {source}"))
            .await
            .context("could not create a database for a test")?;
        Ok(name)
    }

    async fn drop_database(&mut self, name: &str) -> Result<()> {
        self.execute(format!("drop database if exists {name} with (force)"))
            .await
    }

    async fn drop_left_behind(&mut self) -> Result<()> {
        let all: Vec<String> =
            sqlx::query_scalar("select datname from pg_database where datname like $1")
                .bind(format!("{PREFIX}%"))
                .fetch_all(&mut self.connection)
                .await?;
        for name in all.iter().filter(|name| was_left_behind(name)) {
            self.drop_database(name).await?;
        }
        Ok(())
    }

    /// Runs a statement that can take no parameters; every name in it was made by this module.
    async fn execute(&mut self, statement: String) -> Result<()> {
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }
}

/// The time is in the name.
fn was_left_behind(name: &str) -> bool {
    let Some(uuid) = name
        .strip_prefix(PREFIX)
        .and_then(|id| Uuid::parse_str(id).ok())
    else {
        return false;
    };
    let Some((seconds, _)) = uuid.get_timestamp().map(|at| at.to_unix()) else {
        return false;
    };
    let made = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    made.elapsed().is_ok_and(|age| age > LEFT_BEHIND)
}

/// Brings a database to the schema of this build. All connections are closed on return.
pub(crate) async fn migrate(url: &str) -> Result<()> {
    let database = Database::connect(&config(url)).await?;
    let migrated = tasker_shared::schema::migrate(&database).await;
    database.pool().close().await;
    migrated?;
    Ok(())
}

/// The configuration of the engine for a test database. The deadlines are those of a busy machine.
pub(crate) fn config(url: &str) -> DatabaseConfig {
    let config = TaskerConfig::default().database;
    DatabaseConfig {
        url: url.into(),
        acquire_timeout: Duration::from_secs(30),
        ..config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_old_test_database_counts_as_left_behind() {
        let fresh = format!("{PREFIX}{}", Uuid::now_v7().simple());
        assert!(!was_left_behind(&fresh));
        assert!(was_left_behind(
            "tasker_test_018f0000000070008000000000000000"
        ));
        for name in ["tasker", "tasker_test_", "tasker_test_mine"] {
            assert!(!was_left_behind(name), "{name}");
        }
    }
}
