//! A server of its own for one test, to be stopped, killed and started again.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex};

use private_postgres::{Durability, PrivatePostgres, Settings};

use tempfile::TempDir;

use crate::database::run;
use crate::shared_server::migrate;

/// The database that a test server holds.
const DATABASE: &str = "tasker";

/// A private PostgreSQL with one migrated database. Its URL stays the same over restarts.
///
/// A killed server loses nothing that it acknowledged, [`Durability::Disposable`] or not: only a
/// crash of the machine would. Choose [`Durability::Production`] for figures, not for kills.
#[derive(Clone, Debug)]
pub struct TestServer {
    server: Arc<Mutex<PrivatePostgres>>,
    url: String,
    /// Keeps what the server reads besides its data.
    _files: Option<Arc<TempDir>>,
}

impl TestServer {
    /// Starts a server and migrates its database.
    pub async fn start(durability: Durability) -> Self {
        let settings = Settings::ephemeral().durability(durability);
        Self::start_with(settings, None).await
    }

    /// Starts a server that asks everyone but its superuser for a password (SCRAM-SHA-256).
    pub async fn with_passwords() -> Self {
        let files = tempfile::Builder::new().prefix("tasker-hba-").tempdir();
        let files = files.expect("the temporary folder is writable");
        // The account of the server is not ours.
        let all = Permissions::from_mode(0o755);
        fs::set_permissions(files.path(), all).expect("a new folder is ours");
        let rules = files.path().join("pg_hba.conf");
        let text = "local all postgres trust\nlocal all all scram-sha-256\n";
        fs::write(&rules, text).expect("a new folder is writable");
        let settings = Settings::ephemeral()
            .durability(Durability::Disposable)
            .set("hba_file", rules.to_string_lossy());
        Self::start_with(settings, Some(files)).await
    }

    /// Starts a server that logs every statement, for [`Self::statements`].
    pub async fn with_statement_log() -> Self {
        let settings = Settings::ephemeral()
            .durability(Durability::Disposable)
            .set("log_statement", "all")
            .set("log_line_prefix", "%p ");
        Self::start_with(settings, None).await
    }

    /// The statements that the server was sent, each with the process id of its session. Lines of a
    /// statement after its first are left out.
    pub async fn statements(&self) -> Vec<(u32, String)> {
        let server = Arc::clone(&self.server);
        let log = blocking(move || {
            let file = server.lock().expect("no test panics inside");
            fs::read_to_string(file.log_file()).expect("a running server has a log")
        });
        let log = log.await;
        let lines = log.lines().filter_map(|line| {
            let (session, text) = line.split_once(" LOG:  ")?;
            let executed = text.strip_prefix("execute ");
            let statement = text.strip_prefix("statement: ");
            let statement = statement.or_else(|| Some(executed?.split_once(": ")?.1))?;
            Some((session.parse().ok()?, statement.to_owned()))
        });
        lines.collect()
    }

    async fn start_with(settings: Settings, files: Option<TempDir>) -> Self {
        let settings = settings.max_connections(200);
        let server = blocking(move || PrivatePostgres::start(settings)).await;
        let server = server.expect("a private server starts");
        server
            .create_database_if_missing(DATABASE)
            .await
            .expect("a server can create a database");
        let url = server.url(DATABASE);
        migrate(&url).await.expect("a new database can be migrated");
        Self {
            server: Arc::new(Mutex::new(server)),
            url,
            _files: files.map(Arc::new),
        }
    }

    /// Takes a base backup of the running server, and starts a server of its own on it.
    pub async fn start_copy(&self) -> Self {
        let folder = tempfile::Builder::new().prefix("tasker-copy-").tempdir();
        let folder = folder.expect("the temporary folder is writable");
        let all = Permissions::from_mode(0o755);
        fs::set_permissions(folder.path(), all).expect("a new folder is ours");
        let dir = folder.path().join("pg");
        let data = dir.join("data");
        fs::create_dir(&dir).expect("a new folder is writable");
        let data = data.to_str().expect("paths of tests are UTF-8");
        let args = ["-d", &self.url, "-D", data, "-X", "stream", "-c", "fast"];
        run("pg_basebackup", &args).await;
        let original = {
            let server = self.server.lock().expect("no test panics inside");
            server.data_dir().to_owned()
        };
        // The account of the server may not be ours.
        let owner = fs::metadata(original).expect("the data of a server is there");
        for path in [dir.as_path(), Path::new(data)] {
            let owner = format!("{}:{}", owner.uid(), owner.gid());
            let path = path.to_string_lossy().into_owned();
            let changed = tokio::process::Command::new("chown")
                .args(["-R", &owner, &path])
                .status()
                .await;
            assert!(changed.expect("chown runs").success());
        }
        let settings = Settings::persistent(dir)
            .durability(Durability::Disposable)
            .max_connections(200);
        let server = blocking(move || PrivatePostgres::start(settings)).await;
        let server = server.expect("a copy of a server starts");
        Self {
            url: server.url(DATABASE),
            server: Arc::new(Mutex::new(server)),
            _files: Some(Arc::new(folder)),
        }
    }

    /// The URL of the database, as `DATABASE_URL` takes it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The process id of the server; `None` while it is down.
    pub fn pid(&self) -> Option<u32> {
        self.server.lock().expect("no test panics inside").pid()
    }

    /// Stops the server cleanly.
    pub async fn stop(&self) {
        self.with(|server| server.stop().expect("a server can be stopped"))
            .await;
    }

    /// Kills the server as a crash would.
    pub async fn kill(&self) {
        self.with(|server| server.kill().expect("a server can be killed"))
            .await;
    }

    /// Starts the server again, after a clean stop if it still runs.
    pub async fn restart(&self) {
        self.with(|server| server.restart().expect("a server can be restarted"))
            .await;
    }

    async fn with(&self, act: impl FnOnce(&mut PrivatePostgres) + Send + 'static) {
        let server = Arc::clone(&self.server);
        blocking(move || act(&mut server.lock().expect("no test panics inside"))).await;
    }
}

async fn blocking<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(act).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
