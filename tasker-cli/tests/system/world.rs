//! A database, the processes that work on it, and what has to hold at the end.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use tasker_shared::ids::TaskUuid;
use tasker_shared::tasks::{NewTask, OnConflict, submit_tasks};
use tasker_shared::template::Template;
use tasker_shared::templates::apply_template;
use tasker_testing::{
    Durability, TaskerBinary, TaskerProcess, TestDatabase, TestServer, WAIT_TIMEOUT, wait_until,
};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// Namespace of all templates of these tests.
pub(crate) const NAMESPACE: &str = "graphs";

/// Configuration under which a lost worker is noticed soon.
pub(crate) const SHORT_LEASE: (&str, &str) = ("TASKER__WORKER__LEASE_SECONDS", "2");

/// Configuration under which nothing is found by looking now and then: whatever is not announced, and
/// not looked for when there is a reason to, is never done.
pub(crate) const NO_POLLING: [(&str, &str); 3] = [
    (
        "TASKER__ORCHESTRATION__TASK_READINESS__FALLBACK_POLLING_INTERVAL_SECONDS",
        "3600",
    ),
    ("TASKER__ORCHESTRATION__TIMERS__MAX_SLEEP_SECONDS", "3600"),
    ("TASKER__WORKER__POLL_INTERVAL_MS", "3600000"),
];

/// Most tests wait more than they work, so that two may run side by side.
const SIDE_BY_SIDE: u32 = 2;
static TURNS: Semaphore = Semaphore::const_new(SIDE_BY_SIDE as usize);

/// Where the database of a test lives.
enum Home {
    /// On the server that all tests of this process share.
    Shared(TestDatabase),
    /// On a server of its own, to be stopped and killed.
    Own(TestServer),
}

/// One database and a way to look into it. Fields are dropped in order: the turn ends last.
pub(crate) struct World {
    home: Home,
    pool: PgPool,
    _turn: Option<SemaphorePermit<'static>>,
}

/// A process of the system.
pub(crate) struct Role {
    pub(crate) process: TaskerProcess,
    /// Where it serves its API or its probes.
    pub(crate) address: String,
}

impl World {
    /// A database on the shared server.
    pub(crate) async fn start() -> Self {
        let turn = TURNS.acquire().await.unwrap();
        Self::at(Home::Shared(TestDatabase::create().await), turn)
    }

    /// The same for a test that wants the whole machine.
    pub(crate) async fn start_alone() -> Self {
        let turn = TURNS.acquire_many(SIDE_BY_SIDE).await.unwrap();
        Self::at(Home::Shared(TestDatabase::create().await), turn)
    }

    /// This database, in the turn of another world of the same test.
    pub(crate) fn beside(database: TestDatabase) -> Self {
        Self::in_turn(Home::Shared(database), None)
    }

    /// The database of this server, in the turn of another world of the same test.
    pub(crate) fn beside_of(server: TestServer) -> Self {
        Self::in_turn(Home::Own(server), None)
    }

    /// A server of its own.
    pub(crate) async fn with_server(durability: Durability) -> Self {
        let turn = TURNS.acquire().await.unwrap();
        Self::at(Home::Own(TestServer::start(durability).await), turn)
    }

    /// This server.
    pub(crate) async fn of(server: TestServer) -> Self {
        let turn = TURNS.acquire().await.unwrap();
        Self::at(Home::Own(server), turn)
    }

    fn at(home: Home, turn: SemaphorePermit<'static>) -> Self {
        Self::in_turn(home, Some(turn))
    }

    fn in_turn(home: Home, turn: Option<SemaphorePermit<'static>>) -> Self {
        let options: PgConnectOptions = home.url().parse().unwrap();
        let pool = PgPoolOptions::new()
            .max_connections(8)
            // The tests write though they make the database read-only for all others.
            .connect_lazy_with(options.options([("default_transaction_read_only", "off")]));
        Self {
            home,
            pool,
            _turn: turn,
        }
    }

    /// The URL of the database.
    pub(crate) fn url(&self) -> &str {
        self.home.url()
    }

    /// The database on the shared server.
    pub(crate) fn database(&self) -> &TestDatabase {
        match &self.home {
            Home::Shared(database) => database,
            Home::Own(_) => panic!("the database has a server of its own"),
        }
    }

    /// Connections for what takes more than one statement.
    pub(crate) const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The server, where the test has one of its own.
    pub(crate) fn server(&self) -> &TestServer {
        match &self.home {
            Home::Own(server) => server,
            Home::Shared(_) => panic!("the server is shared"),
        }
    }

    /// Starts an orchestrator with these environment variables and waits until it serves its API.
    pub(crate) async fn orchestrator(&self, environment: &[(&str, &str)]) -> Role {
        self.role("orchestrator", "api", environment).await
    }

    /// Starts a worker with these environment variables and waits until it serves its probes.
    pub(crate) async fn worker(&self, environment: &[(&str, &str)]) -> Role {
        self.role("worker", "probes", environment).await
    }

    async fn role(&self, role: &str, serves: &str, environment: &[(&str, &str)]) -> Role {
        let mut all = vec![("DATABASE_URL", self.url())];
        all.extend_from_slice(environment);
        let args = [role, "--bind", "127.0.0.1:0", "--json"];
        let mut process = TaskerBinary::locate().spawn(&args, &all);
        let line = process
            .wait_for_line(&format!("{serves:?}"), WAIT_TIMEOUT)
            .await;
        let answer: Value = serde_json::from_str(&line).unwrap();
        let address = answer[serves].as_str().unwrap().to_owned();
        Role { process, address }
    }

    /// Stores a template.
    pub(crate) async fn apply(&self, template: &str) {
        let template = Template::parse_yaml(template).unwrap();
        apply_template(&mut *self.connection().await, &template)
            .await
            .unwrap();
    }

    /// Submits so many tasks in one call.
    pub(crate) async fn submit(&self, name: &str, count: usize) -> Vec<TaskUuid> {
        submit(&mut *self.connection().await, name, count)
            .await
            .unwrap()
    }

    async fn connection(&self) -> sqlx::pool::PoolConnection<sqlx::Postgres> {
        self.pool.acquire().await.unwrap()
    }

    /// The one value that a query gives.
    pub(crate) async fn value<T>(&self, sql: &str) -> T
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        let query = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
        query.fetch_one(&self.pool).await.unwrap()
    }

    /// The rows of one column that a query gives.
    pub(crate) async fn values<T>(&self, sql: &str) -> Vec<T>
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        let query = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
        query.fetch_all(&self.pool).await.unwrap()
    }

    /// Runs a statement.
    pub(crate) async fn run(&self, sql: &str) {
        let statement = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        statement.execute(&self.pool).await.unwrap();
    }

    /// Waits until a query answers true. The database may be away meanwhile.
    pub(crate) async fn wait_for(&self, what: &str, sql: &str) {
        self.wait_for_long(what, WAIT_TIMEOUT, sql).await;
    }

    async fn wait_for_long(&self, what: &str, patience: Duration, sql: &str) {
        let holds = wait_until(what, patience * 2, async || {
            let query = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
            let holds: Result<bool, _> = query.fetch_one(&self.pool).await;
            holds.unwrap_or(false)
        });
        let Ok(()) = timeout(patience, holds).await else {
            let state = self.state().await;
            panic!("after {patience:?} still waiting: {what}\n{state}");
        };
    }

    /// Where everything stands, for the message of a failure.
    async fn state(&self) -> String {
        let lines: Vec<String> = self
            .values(
                "select format('%s tasks are %s', count(*), state) from tasker.tasks group by state \
                 union all \
                 select format('%s steps are %s at attempt %s in the hands of %s',
                   count(*), state, attempt, coalesce(worker, 'nobody'))
                 from tasker.steps group by state, attempt, worker \
                 union all \
                 select format('%s steps are ready, %s wait for a time',
                   (select count(*) from tasker.ready_steps), (select count(*) from tasker.timers))",
            )
            .await;
        lines.join("\n")
    }

    /// Waits until no task is under way.
    pub(crate) async fn wait_for_the_end(&self) {
        self.wait_for_the_end_of_much(WAIT_TIMEOUT).await;
    }

    /// The same for much work.
    pub(crate) async fn wait_for_the_end_of_much(&self, patience: Duration) {
        self.wait_for_long(
            "all tasks have ended",
            patience,
            "select not exists (
               select from tasker.tasks where state in ('pending', 'in_progress')
             )",
        )
        .await;
    }

    /// Says that there are so many tasks, and that each step of each completed once and after those
    /// it depends on; the log of transitions is the witness.
    pub(crate) async fn assert_complete(&self, tasks: usize) {
        let states: Vec<(String, i64)> =
            sqlx::query_as("select state::text, count(*) from tasker.tasks group by state")
                .fetch_all(&self.pool)
                .await
                .unwrap();
        let expected = i64::try_from(tasks).unwrap();
        assert_eq!(states, [("complete".to_owned(), expected)]);
        let not_once: i64 = self
            .value(
                "select count(*) from tasker.steps s
                 left join (
                   select task_uuid, step_no, count(*) as completions
                   from tasker.step_transitions where to_state = 'complete'
                   group by task_uuid, step_no
                 ) l using (task_uuid, step_no)
                 where s.state <> 'complete' or l.completions is distinct from 1",
            )
            .await;
        assert_eq!(not_once, 0, "steps that did not complete exactly once");
        self.assert_order().await;
    }

    /// Checks that every outcome which the database confirmed to these workers is there.
    /// They have run since the world began, and all the work was theirs. One that was lost would have
    /// been recorded, and counted, twice.
    pub(crate) async fn assert_recorded(&self, workers: &[Role]) {
        let mut told = 0;
        for worker in workers {
            let label = r#"outcome="complete""#;
            told += worker.metric("tasker_step_outcomes_total", label).await;
        }
        let recorded: i64 = self
            .value("select count(*) from tasker.steps where state = 'complete'")
            .await;
        assert!((1..=recorded).contains(&told), "{told} of {recorded}");
    }

    /// Says that no step was enqueued, or handed on past the queue, before all those it depends on
    /// had ended.
    pub(crate) async fn assert_order(&self) {
        let (edges, early): (i64, i64) = sqlx::query_as(
            "with moved as (
               select task_uuid, step_no,
                 min(transition_no) filter (
                   where to_state in ('enqueued', 'in_progress')
                 ) as begun,
                 min(transition_no) filter (
                   where to_state in ('complete', 'skipped', 'resolved_manually')
                 ) as satisfied
               from tasker.step_transitions group by task_uuid, step_no
             )
             select count(*), count(*) filter (where p.satisfied is null or p.satisfied > c.begun)
             from tasker.steps s
             join tasker.template_steps ts using (template_id, step_no)
             cross join unnest(ts.depends_on) as e(parent_no)
             join moved c on c.task_uuid = s.task_uuid and c.step_no = s.step_no
             left join moved p on p.task_uuid = s.task_uuid and p.step_no = e.parent_no
             where c.begun is not null",
        )
        .fetch_one(&self.pool)
        .await
        .unwrap();
        assert_eq!(early, 0, "of {edges} edges");
    }

    /// Stops the processes, which have to end well, and examines the database.
    pub(crate) async fn end(self, roles: impl IntoIterator<Item = Role>) {
        let mut roles: Vec<Role> = roles.into_iter().collect();
        for role in &mut roles {
            role.assert_alive();
            role.process.signal(Signal::SIGTERM);
        }
        for role in roles {
            role.has_stopped().await;
        }
        let environment = [
            ("DATABASE_URL", self.url()),
            // There may be millions of steps.
            ("TASKER__DATABASE__STATEMENT_TIMEOUT_MS", "3600000"),
            ("TASKER__DATABASE__CALL_TIMEOUT_MS", "3600000"),
        ];
        let doctor = TaskerBinary::locate().run(&["doctor"], &environment).await;
        let answer = String::from_utf8_lossy(&doctor.stdout);
        assert!(doctor.status.success(), "{answer}");
        assert!(answer.contains("the database is healthy"), "{answer}");
        self.wait_for(
            "no session is left",
            "select count(*) = 0 from pg_stat_activity
             where datname = current_database() and application_name = 'tasker'",
        )
        .await;
        self.pool.close().await;
    }
}

impl Home {
    fn url(&self) -> &str {
        match self {
            Self::Shared(database) => database.url(),
            Self::Own(server) => server.url(),
        }
    }
}

impl Role {
    /// Says that the process runs, and has not been replaced.
    pub(crate) fn assert_alive(&mut self) {
        let ended = self.process.exited();
        assert!(ended.is_none(), "{ended:?}: {}", self.process.output());
    }

    /// Stops the process, which has to end well.
    pub(crate) async fn stop(mut self) {
        self.assert_alive();
        self.process.signal(Signal::SIGTERM);
        self.has_stopped().await;
    }

    async fn has_stopped(mut self) {
        let status = self.process.wait(WAIT_TIMEOUT).await;
        assert!(status.success(), "{status}: {}", self.process.output());
    }

    /// The sum of a metric over the labels that contain `label`.
    pub(crate) async fn metric(&self, name: &str, label: &str) -> i64 {
        let url = format!("{}/metrics", self.address);
        let text = http().get(url).send().await.unwrap().text().await.unwrap();
        let lines = text.lines().filter(|line| line.contains(label));
        let values = lines.filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let metric = series.split('{').next()?;
            (metric == name).then(|| value.parse::<i64>().unwrap())
        });
        values.sum()
    }
}

/// Submits so many tasks of a template in one call.
pub(crate) async fn submit(
    connection: &mut PgConnection,
    name: &str,
    count: usize,
) -> Result<Vec<TaskUuid>, tasker_shared::error::Error> {
    let task = NewTask {
        namespace: NAMESPACE.to_owned(),
        name: name.to_owned(),
        version: None,
        context: json!({}),
        priority: 0,
        idempotency_key: None,
        on_conflict: OnConflict::Existing,
    };
    let submitted = submit_tasks(connection, &vec![task; count]).await?;
    Ok(submitted.iter().map(|task| task.task_uuid).collect())
}

/// An HTTP client.
pub(crate) fn http() -> reqwest::Client {
    // The worker's HTTP handler switches TLS on in the client for the whole program, and a client
    // wants a provider then, though this one speaks plain HTTP. An earlier one serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

/// What the API answers to a GET.
pub(crate) async fn get(api: &Role, path: &str) -> Value {
    let url = format!("{}{path}", api.address);
    let answer = http().get(url).send().await.unwrap();
    answer.json().await.unwrap()
}

/// What a command prints as JSON.
pub(crate) async fn printed(world: &World, args: &[&str]) -> Value {
    let environment = [("DATABASE_URL", world.url())];
    let output = TaskerBinary::locate()
        .run(&[args, &["--json"]].concat(), &environment)
        .await;
    assert!(output.status.success(), "{args:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}
