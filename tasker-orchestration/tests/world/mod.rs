//! A database with a template in it, orchestrators on it, and eyes on what they did.
#![allow(
    dead_code,
    reason = "each test file uses some of it, and each is a crate of its own"
)]
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::time::Duration;

use sqlx::PgPool;
use tasker_orchestration::{Orchestrator, OrchestratorHealth, RunningOrchestrator};
use tasker_shared::config::{DatabaseConfig, DeploymentMode, TaskerConfig};
use tasker_shared::database::Database;
use tasker_shared::ids::TaskUuid;
use tasker_shared::tasks::Enqueuing;
use tasker_shared::template::Template;
use tasker_shared::{doctor, templates};
use tasker_testing::{TestDatabase, WAIT_TIMEOUT, wait_until};
use tokio_util::sync::CancellationToken;

/// Far longer than a test takes: what waits for this long does not happen in it.
pub(crate) const NEVER: Duration = Duration::from_mins(50);

const TEMPLATE: &str = "
namespace: shop
name: order
version: 1.0.0
defaults: { retry: { max_attempts: 3, backoff: fixed, base_ms: 50, max_ms: 50, jitter: false } }
steps:
  - { name: first, handler: shop.first }
  - { name: second, handler: shop.second, depends_on: [first] }
";

pub(crate) struct World {
    pub(crate) db: TestDatabase,
    pub(crate) pool: PgPool,
}

impl World {
    /// A database with the template `shop/order`: two steps, one after the other.
    pub(crate) async fn create() -> Self {
        let db = TestDatabase::create().await;
        let pool = db.pool();
        let template = Template::parse_yaml(TEMPLATE).unwrap();
        let mut connection = pool.acquire().await.unwrap();
        templates::apply_template(&mut connection, &template)
            .await
            .unwrap();
        drop(connection);
        Self { db, pool }
    }

    /// The base configuration with every interval that polls put off for ever.
    pub(crate) fn config(&self, mode: DeploymentMode) -> TaskerConfig {
        let mut config = TaskerConfig::default();
        config.database = DatabaseConfig {
            url: self.db.url().into(),
            acquire_timeout: Duration::from_secs(30),
            ..config.database
        };
        config.orchestration.deployment.mode = mode;
        config.orchestration.timers.max_sleep = NEVER;
        config
            .orchestration
            .task_readiness
            .fallback_polling_interval = NEVER;
        config.event_systems.supervisor.restart_min = Duration::from_millis(1);
        config.event_systems.listener.reconnect_min = Duration::from_millis(1);
        config.event_systems.listener.reconnect_max = Duration::from_millis(50);
        config
    }

    /// The same with polling in short intervals, at tasks of any age.
    pub(crate) fn polling_config(&self, mode: DeploymentMode) -> TaskerConfig {
        let mut config = self.config(mode);
        let readiness = &mut config.orchestration.task_readiness;
        readiness.fallback_polling_interval = Duration::from_millis(50);
        readiness.age_threshold = Duration::ZERO;
        config
    }

    /// Starts an orchestrator and waits until it is healthy and has nothing left to claim.
    pub(crate) async fn start(&self, config: &TaskerConfig) -> Running {
        let running = Running::start(config).await;
        wait_until("the orchestrator is healthy", WAIT_TIMEOUT, async || {
            running.health().is_healthy()
        })
        .await;
        self.wait_until_all_claimed().await;
        running
    }

    /// Submits in plain SQL, as any client may.
    pub(crate) async fn submit(&self, priority: i32) -> TaskUuid {
        sqlx::query_scalar("select tasker.submit_task('shop', 'order', '{}', p_priority => $1)")
            .bind(priority)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// Submits without a notification, as if it had been lost.
    pub(crate) async fn submit_unannounced(&self) -> TaskUuid {
        let mut transaction = self.pool.begin().await.unwrap();
        sqlx::query("set local tasker.announce to 'off'")
            .execute(&mut *transaction)
            .await
            .unwrap();
        let task = sqlx::query_scalar("select tasker.submit_task('shop', 'order', '{}')")
            .fetch_one(&mut *transaction)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        task
    }

    /// How many messages the queue holds.
    pub(crate) async fn queued(&self) -> i64 {
        sqlx::query_scalar("select count(*) from pgmq.q_worker_shop_queue")
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    pub(crate) async fn wait_until_queued(&self, messages: i64) {
        wait_until("the messages are in the queue", WAIT_TIMEOUT, async || {
            self.queued().await == messages
        })
        .await;
    }

    pub(crate) async fn wait_until_all_claimed(&self) {
        wait_until("nothing is left to claim", WAIT_TIMEOUT, async || {
            let ready: i64 = sqlx::query_scalar("select count(*) from tasker.ready_steps")
                .fetch_one(&self.pool)
                .await
                .unwrap();
            ready == 0
        })
        .await;
    }

    /// Waits until it is known that an orchestrator listens.
    pub(crate) async fn wait_for_a_listener(&self) {
        wait_until("a listener is registered", WAIT_TIMEOUT, async || {
            sqlx::query_scalar("select tasker.has_listener(null)")
                .fetch_one(&self.pool)
                .await
                .unwrap()
        })
        .await;
    }

    /// Fails when an invariant of the database does not hold.
    pub(crate) async fn assert_sound(&self) {
        let mut connection = self.pool.acquire().await.unwrap();
        let findings = doctor::examine(&mut connection).await.unwrap();
        assert!(findings.is_empty(), "{findings:#?}");
    }
}

/// An orchestrator that stops with its test.
pub(crate) struct Running {
    orchestrator: RunningOrchestrator,
    shutdown: CancellationToken,
}

impl Running {
    /// Starts an orchestrator; nothing is awaited.
    pub(crate) async fn start(config: &TaskerConfig) -> Self {
        let database = Database::connect(&config.database).await.unwrap();
        let shutdown = CancellationToken::new();
        let orchestrator = Orchestrator::start(&database, config, shutdown.clone());
        Self {
            orchestrator,
            shutdown,
        }
    }

    pub(crate) fn health(&self) -> OrchestratorHealth {
        self.orchestrator.health()
    }

    pub(crate) fn enqueuing(&self) -> Option<Enqueuing> {
        self.orchestrator.enqueuing()
    }

    pub(crate) fn enqueued_beside(&self, steps: u64) {
        self.orchestrator.enqueued_beside(steps);
    }

    pub(crate) fn make_panic(&self, component: &str) -> bool {
        self.orchestrator.make_panic(component)
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.orchestrator.stopped().await;
    }
}
