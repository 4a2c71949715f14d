//! A database for one test.

use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, PgConnection, PgPool};
use tasker_shared::database::Database;

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

    /// A connection of its own; take two for a claim about concurrency.
    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url)
            .await
            .expect("the server of the tests accepts connections")
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        shared_server::drop_later(std::mem::take(&mut self.name));
    }
}
