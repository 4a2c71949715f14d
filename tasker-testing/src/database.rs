//! A database for one test.

use std::fs;
use std::path::Path;

use private_postgres::find_binaries;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, PgConnection, PgPool};
use tasker_shared::database::Database;
use tokio::process::Command;

use crate::shared_server::{self, Content, NewDatabase, config};

/// Connections in the pool of one test.
const POOL_SIZE: u32 = 10;

/// A database of its own for one test, on the server that the tests of this process share.
///
/// It is dropped some time after this value is; sessions that are still open then are ended.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    url: String,
}

impl TestDatabase {
    /// A database with the whole schema, copied from one that is migrated once per process.
    pub async fn create() -> Self {
        Self::with(Content::Migrated).await
    }

    /// A database with nothing in it, for tests of the migrations themselves.
    pub async fn empty() -> Self {
        Self::with(Content::Nothing).await
    }

    async fn with(content: Content) -> Self {
        match shared_server::create(content).await {
            Ok(NewDatabase { name, url }) => Self { name, url },
            Err(error) => panic!("no test database: {error:#}"),
        }
    }

    /// The URL of the database, as `DATABASE_URL` takes it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The name of the database.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A new pool of up to ten connections, opened when they are needed.
    pub fn pool(&self) -> PgPool {
        PgPoolOptions::new()
            .max_connections(POOL_SIZE)
            .connect_lazy(&self.url)
            .expect("the URL was made by the server")
    }

    /// The database as the engine sees it, with the deadlines of the base configuration.
    pub async fn database(&self) -> Database {
        Database::connect(&config(&self.url))
            .await
            .expect("the server of the tests answers")
    }

    /// All that a schema is made of, as SQL that does not depend on the database's name.
    pub async fn schema(&self) -> String {
        self.dump(&["--schema-only"]).await
    }

    /// All that is in it, as SQL that makes it again in another database.
    pub async fn content(&self) -> String {
        self.dump(&[]).await
    }

    /// Writes a backup, as `pg_dump -Fc` does.
    pub async fn back_up(&self, file: &Path) {
        let file = file.to_str().expect("paths of tests are UTF-8");
        run("pg_dump", &["-Fc", "-f", file, &self.url]).await;
    }

    /// Fills this empty database from a backup.
    pub async fn restore(&self, file: &Path) {
        let backup = file.to_str().expect("paths of tests are UTF-8");
        let sql = portable(&run("pg_restore", &["-f", "-", backup]).await);
        let script = file.with_extension("sql");
        fs::write(&script, sql).expect("a backup is beside other files of the test");
        self.run_file(&script).await;
    }

    async fn dump(&self, args: &[&str]) -> String {
        let args = [&["--no-owner", "--no-privileges", &self.url], args].concat();
        portable(&run("pg_dump", &args).await)
    }

    /// Runs a file of SQL, such as a dump, as psql does.
    pub async fn run_file(&self, file: &Path) {
        let file = file.to_str().expect("paths of tests are UTF-8");
        let args = ["-Xq", "-v", "ON_ERROR_STOP=1", "-d", &self.url, "-f", file];
        run("psql", &args).await;
    }

    /// A connection of its own; take two for a claim about concurrency.
    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url)
            .await
            .expect("the server of the tests accepts connections")
    }
}

/// A dump without the words that bracket it, which are others each time, and without the setting that
/// the programs of a newer version name to a server before 17, which does not know it.
fn portable(dump: &str) -> String {
    const NOT_PORTABLE: [&str; 3] = ["\\restrict ", "\\unrestrict ", "SET transaction_timeout "];
    let lines = dump.split_inclusive('\n');
    let lines = lines.filter(|line| !NOT_PORTABLE.iter().any(|start| line.starts_with(start)));
    lines.collect()
}

/// Runs a program of PostgreSQL to its end and returns what it printed.
pub(crate) async fn run(program: &str, args: &[&str]) -> String {
    let binaries = find_binaries().expect("the server of the tests runs");
    let output = Command::new(binaries.folder.join(program))
        .args(args)
        .output()
        .await;
    let output = output.unwrap_or_else(|error| panic!("{program} does not run: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        shared_server::drop_later(std::mem::take(&mut self.name));
    }
}
