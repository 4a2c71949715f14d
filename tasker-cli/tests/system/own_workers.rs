//! Workers with a user's own handlers, in the process of the test.

use tasker_shared::config::{DatabaseConfig, TaskerConfig};
use tasker_shared::database::Database;
use tasker_testing::as_the_tests_are_run;
use tasker_worker::{Handlers, RunningWorker, Worker};

use super::world::World;

/// A worker as a user's own program would be, with its own connections.
pub(crate) struct OwnWorker {
    database: Database,
    worker: RunningWorker,
}

impl OwnWorker {
    /// Starts a worker of this name with these handlers and the built-in ones.
    pub(crate) async fn start(world: &World, name: &str, handlers: Handlers) -> Self {
        let mut config = TaskerConfig::default();
        name.clone_into(&mut config.worker.instance_id);
        as_the_tests_are_run(&mut config.worker);
        let database = Database::connect(&DatabaseConfig {
            url: world.url().into(),
            ..config.database.clone()
        })
        .await
        .unwrap();
        let worker = Worker::start(&database, &config, handlers);
        Self { database, worker }
    }

    /// Stops it, which has to end well.
    pub(crate) async fn stop(self) {
        assert!(self.worker.drain().await.is_complete);
        self.database.pool().close().await;
    }
}
