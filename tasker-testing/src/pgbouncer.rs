//! PgBouncer in transaction mode in front of a server of the tests.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::unistd::geteuid;
use private_postgres::{DeathSignal, spawn_bound};
use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::wait::{WAIT_TIMEOUT, wait_until};

/// Where packages put the program.
const PLACES: [&str; 3] = [
    "/usr/sbin/pgbouncer",
    "/usr/bin/pgbouncer",
    "/usr/local/bin/pgbouncer",
];
/// Connections to the server: few, so that clients often get one that another has used.
const SERVER_CONNECTIONS: u32 = 4;

/// A pooler in transaction mode. It ends when this value is dropped.
#[derive(Debug)]
pub struct PgBouncer {
    child: Child,
    url: String,
    _dir: TempDir,
}

impl PgBouncer {
    /// Starts PgBouncer in front of the server of a database URL that names a unix socket.
    ///
    /// `ignored` are the parameters of a session's start that it lets pass without heeding them.
    /// `None`, and a line that says so, where the program is not installed.
    pub async fn to(url: &str, ignored: &[&str]) -> Option<Self> {
        let Some(program) = PLACES
            .into_iter()
            .map(PathBuf::from)
            .find(|at| at.is_file())
        else {
            eprintln!("skipped: pgbouncer is not installed");
            return None;
        };
        let server: PgConnectOptions = url.parse().expect("the URL was made by the server");
        let socket = server.get_socket().expect("the server has a unix socket");
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("loopback has a free port")
            .port();
        let user = server.get_username();
        let settings = format!(
            "[databases]\n* = host={socket} port={server_port} user={user}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = any\npool_mode = transaction\ndefault_pool_size = {SERVER_CONNECTIONS}\n\
             max_client_conn = 500\nignore_startup_parameters = {ignored}\n",
            socket = socket.display(),
            server_port = server.get_port(),
            ignored = ignored.join(","),
        );
        let dir = tempfile::Builder::new()
            .prefix("tasker-pgbouncer-")
            .tempdir();
        let dir = dir.expect("the temporary folder is writable");
        let file = dir.path().join("pgbouncer.ini");
        fs::write(&file, settings).expect("a new folder is writable");
        let mut command = Command::new(program);
        command
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if geteuid().is_root() {
            // It refuses to run as root, and only the server's account may enter the socket's folder.
            let owner = fs::metadata(socket).expect("the server runs");
            command.uid(owner.uid()).gid(owner.gid());
            fs::set_permissions(dir.path(), Permissions::from_mode(0o755))
                .expect("a folder of ours can be opened to others");
        }
        let child = spawn_bound(command, DeathSignal::Kill).expect("pgbouncer runs");
        wait_until("pgbouncer accepts connections", WAIT_TIMEOUT, async || {
            TcpStream::connect(("127.0.0.1", port)).await.is_ok()
        })
        .await;
        let database = server.get_database().unwrap_or(user);
        Some(Self {
            child,
            url: format!("postgres://{user}@127.0.0.1:{port}/{database}"),
            _dir: dir,
        })
    }

    /// The URL that leads to the same database through the pooler.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
