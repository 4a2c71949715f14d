//! The supervisor: starts the server, knows when it is ready, stops it, and never leaves it behind.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use tracing::{debug, warn};

use crate::account::Account;
use crate::binaries::{self, Binaries, Search};
use crate::child::{DeathSignal, spawn_bound};
use crate::cluster::{Layout, SUPERUSER, clean_environment};
use crate::databases;
use crate::error::{ServerError, StartError};
use crate::janitor::{Folder, Janitor};
use crate::process::{POLL_INTERVAL, PidFile, children_of, ended_within, runs_on, signal};
use crate::settings::Settings;

/// The database that every cluster has.
const MAINTENANCE: &str = "postgres";
/// How long a server whose supervisor was killed may take to shut down before it counts as alive.
const PREDECESSOR_TIMEOUT: Duration = Duration::from_secs(15);
/// How long an immediate shutdown may take.
const QUIT_TIMEOUT: Duration = Duration::from_secs(5);
/// What a server says while backends of its killed predecessor are still alive.
const ORPHANS: &str = "pre-existing shared memory block";
/// Lines of the log that an error shows.
const LOG_LINES: usize = 15;

/// A running private server. Dropping it stops the server.
#[derive(Debug)]
pub struct PrivatePostgres {
    child: Option<Child>,
    layout: Layout,
    account: Account,
    binaries: Binaries,
    settings: Settings,
    // The order of the rest is the order of the clean-up after the server has stopped.
    _dir: OwnedDir,
    _janitor: Option<Janitor>,
    _lock: File,
}

impl PrivatePostgres {
    /// Starts the server and returns when it accepts connections; makes its data on first use.
    pub fn start(settings: Settings) -> Result<Self, StartError> {
        let dir = OwnedDir::choose(&settings)?;
        let layout = Layout::of(&dir.path);
        let data_version = layout.data_version()?;
        let preferred = data_version.as_deref().and_then(|major| major.parse().ok());
        let search = Search::of_this_machine(settings.binaries.as_deref());
        let binaries = binaries::find(&search, preferred)?;
        if let Some(data_major) = data_version.filter(|_| preferred != Some(binaries.version.major))
        {
            let Binaries { folder, version } = binaries;
            return Err(StartError::VersionMismatch {
                dir: layout.dir,
                data_major,
                folder,
                version,
            });
        }
        let account = Account::for_data(&layout.data)?;
        account.check_reaches(&binaries.program("postgres"))?;
        layout.prepare(&account)?;
        let lock = layout.lock()?;
        if layout.data_version()?.is_none() {
            layout.init(&binaries, &account, settings.durability)?;
        }
        let janitor = dir
            .needs_janitor()
            .map(|folder| Janitor::hire(&layout.dir, folder))
            .transpose()
            .map_err(StartError::io("start /bin/sh"))?;
        let mut server = Self {
            child: None,
            layout,
            account,
            binaries,
            settings,
            _dir: dir,
            _janitor: janitor,
            _lock: lock,
        };
        server.launch()?;
        Ok(server)
    }

    /// The URL of a database of this server, for sqlx and every libpq client.
    pub fn url(&self, database: &str) -> String {
        let database = percent_encode(database);
        let socket_dir = percent_encode(&self.layout.socket_dir.to_string_lossy());
        format!(
            "postgres://{SUPERUSER}@localhost:5432/{database}?host={socket_dir}&sslmode=disable"
        )
    }

    /// The unix socket, for a proxy that sits in front of the server.
    pub fn socket(&self) -> PathBuf {
        self.layout.socket()
    }

    /// The folder that holds the data, the lock and the log.
    pub fn data_dir(&self) -> &Path {
        &self.layout.dir
    }

    /// The log of the server.
    pub fn log_file(&self) -> &Path {
        &self.layout.log
    }

    /// The binaries that run.
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// Whether a package upgrade replaced the binaries under the running server.
    ///
    /// New connections then fail to load libraries; a restart mends it.
    pub fn binaries_were_replaced(&self) -> bool {
        self.binaries.were_replaced()
    }

    /// The process id of the server; `None` while it is stopped.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// How the server ended, if it did so without being asked.
    pub fn exited(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.as_mut().map_or(Ok(None), Child::try_wait)
    }

    /// Creates the database unless it exists; says whether it was created.
    pub async fn create_database_if_missing(&self, name: &str) -> Result<bool, ServerError> {
        databases::create_if_missing(&self.url(MAINTENANCE), name).await
    }

    /// Creates a database as a copy of another one, in which nobody may be at that moment.
    pub async fn copy_database(&self, source: &str, name: &str) -> Result<(), ServerError> {
        databases::copy(&self.url(MAINTENANCE), source, name).await
    }

    /// Removes a database where it exists; sessions in it end.
    pub async fn drop_database(&self, name: &str) -> Result<(), ServerError> {
        databases::drop(&self.url(MAINTENANCE), name).await
    }

    /// Stops the server: its sessions end, its data is complete. Does nothing when it is stopped.
    pub fn stop(&mut self) -> io::Result<()> {
        let Some(child) = self.child.as_mut() else {
            return Ok(());
        };
        // A paused server could not hear the request to stop.
        signal(child, Signal::SIGCONT)?;
        signal(child, Signal::SIGINT)?;
        if !ended_within(child, self.settings.stop_timeout)? {
            warn!("PostgreSQL does not stop, so it is told to quit at once");
            signal(child, Signal::SIGQUIT)?;
            if !ended_within(child, QUIT_TIMEOUT)? {
                child.kill()?;
            }
        }
        child.wait()?;
        self.child = None;
        Ok(())
    }

    /// Kills the server and its sessions as a crash would (SIGKILL).
    ///
    /// [`Self::restart`] brings it back.
    pub fn kill(&mut self) -> io::Result<()> {
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        // Its sessions would go on for a moment, and answer. Paused, it starts no new ones.
        signal(&child, Signal::SIGSTOP)?;
        let sessions = children_of(child.id());
        child.kill()?;
        for session in sessions {
            let _ = kill(session, Signal::SIGKILL);
        }
        child.wait().map(drop)
    }

    /// Stops the server if it runs, then starts it on the same data under the same URL.
    pub fn restart(&mut self) -> Result<(), StartError> {
        self.stop().map_err(StartError::io("stop PostgreSQL"))?;
        self.binaries = binaries::find(
            &Search::of_this_machine(Some(&self.binaries.folder)),
            Some(self.binaries.version.major),
        )?;
        self.launch()
    }

    fn launch(&mut self) -> Result<(), StartError> {
        let deadline = Instant::now() + self.settings.start_timeout;
        self.await_predecessor()?;
        loop {
            let mut log = self
                .layout
                .open_log()
                .map_err(StartError::io("open server.log"))?;
            let log_start = log
                .seek(SeekFrom::End(0))
                .map_err(StartError::io("read its log"))?;
            let command = self.command(&log)?;
            let mut child = spawn_bound(command, DeathSignal::Interrupt)
                .map_err(StartError::io("run postgres"))?;
            let outcome = self.await_ready(&mut child, deadline);
            if matches!(outcome, Ok(true)) {
                self.child = Some(child);
                return Ok(());
            }
            let _ = child.kill();
            let _ = child.wait();
            let text = read_from(&self.layout.log, log_start);
            let dir = self.layout.dir.clone();
            match outcome {
                Err(error) => return Err(StartError::io("wait for PostgreSQL")(error)),
                Ok(_) if Instant::now() >= deadline => {
                    let waited = self.settings.start_timeout;
                    return Err(StartError::TimedOut {
                        dir,
                        waited,
                        log: last_lines(&text),
                    });
                }
                Ok(_) if text.contains(ORPHANS) => thread::sleep(POLL_INTERVAL * 10),
                Ok(_) => {
                    return Err(StartError::Exited {
                        dir,
                        log: last_lines(&text),
                    });
                }
            }
        }
    }

    fn command(&self, log: &File) -> Result<Command, StartError> {
        let mut command = Command::new(self.binaries.program("postgres"));
        command.arg("-D").arg(&self.layout.data);
        for (name, value) in self.settings.server_settings() {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        let socket_dir = self
            .layout
            .socket_dir
            .to_string_lossy()
            .replace('"', "\"\"");
        command
            .arg("-c")
            .arg(format!("unix_socket_directories=\"{socket_dir}\""));
        let copy = || log.try_clone().map_err(StartError::io("open server.log"));
        command
            .current_dir(&self.layout.data)
            .stdout(copy()?)
            .stderr(copy()?);
        clean_environment(&mut command);
        self.account.run(&mut command);
        Ok(command)
    }

    /// Waits until the server is ready; `false` if it ended or the deadline passed before that.
    fn await_ready(&self, child: &mut Child, deadline: Instant) -> io::Result<bool> {
        loop {
            let file = PidFile::read(&self.layout.data);
            if file.is_some_and(|file| file.pid == child.id() && file.ready) {
                return Ok(true);
            }
            if child.try_wait()?.is_some() || Instant::now() >= deadline {
                return Ok(false);
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// A server whose supervisor was killed shuts down by itself; waits for that.
    fn await_predecessor(&self) -> Result<(), StartError> {
        let deadline = Instant::now() + PREDECESSOR_TIMEOUT;
        while let Some(PidFile { pid, .. }) = PidFile::read(&self.layout.data) {
            if !runs_on(pid, &self.layout.data) {
                // Its number may belong to another process by now, which PostgreSQL would take
                // for a server. The lock on the folder is held, so nobody else writes this file.
                debug!(pid, "removing the pid file of a server that is gone");
                let file = self.layout.data.join(PidFile::NAME);
                return fs::remove_file(&file)
                    .map_err(StartError::io(format!("remove {}", file.display())));
            }
            if Instant::now() >= deadline {
                let dir = self.layout.dir.clone();
                return Err(StartError::AlreadyRunning {
                    dir,
                    pid: pid.to_string(),
                });
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            warn!(%error, "could not stop the private PostgreSQL");
        }
    }
}

/// The folder of the server; removes itself if it was made for this server only.
#[derive(Debug)]
struct OwnedDir {
    path: PathBuf,
    ephemeral: bool,
}

impl OwnedDir {
    fn choose(settings: &Settings) -> Result<Self, StartError> {
        if let Some(dir) = &settings.dir {
            let path = std::path::absolute(dir)
                .map_err(StartError::io(format!("find the folder {}", dir.display())))?;
            return Ok(Self {
                path,
                ephemeral: false,
            });
        }
        let path = tempfile::Builder::new()
            .prefix("tasker-pg-")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(temporary_folder()?)
            .map_err(StartError::io("make a temporary folder"))?
            .keep();
        Ok(Self {
            path,
            ephemeral: true,
        })
    }

    /// Linux ends the server with this process; elsewhere that takes a janitor too.
    fn needs_janitor(&self) -> Option<Folder> {
        if self.ephemeral {
            return Some(Folder::Remove);
        }
        (!cfg!(target_os = "linux")).then_some(Folder::Keep)
    }
}

/// The temporary folder of this process, or that of the system where the account of the server
/// cannot enter the former.
fn temporary_folder() -> Result<PathBuf, StartError> {
    let ours = env::temp_dir();
    let account = Account::for_new_data()?;
    Ok(match account.check_reaches(&ours) {
        Err(StartError::Unreachable { .. }) => PathBuf::from("/tmp"),
        _ => ours,
    })
}

impl Drop for OwnedDir {
    fn drop(&mut self) {
        if self.ephemeral
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            warn!(%error, folder = %self.path.display(), "could not remove a temporary folder");
        }
    }
}

fn read_from(log: &Path, start: u64) -> String {
    let mut bytes = Vec::new();
    let read = File::open(log).and_then(|mut file| {
        file.seek(SeekFrom::Start(start))?;
        file.read_to_end(&mut bytes)
    });
    match read {
        Ok(_) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => format!("(its log cannot be read: {error})"),
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}

/// Encodes what has a meaning in a URL; a path stays readable.
fn percent_encode(text: &str) -> String {
    use std::fmt::Write;

    text.bytes()
        .fold(String::with_capacity(text.len()), |mut url, byte| {
            if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
                url.push(char::from(byte));
            } else {
                let _ = write!(url, "%{byte:02X}");
            }
            url
        })
}

#[cfg(test)]
mod tests {
    use super::percent_encode;

    #[test]
    fn a_path_with_odd_characters_survives_in_a_url() {
        assert_eq!(percent_encode("/tmp/a-b_c.d"), "/tmp/a-b_c.d");
        assert_eq!(percent_encode("/tmp/a b&c"), "/tmp/a%20b%26c");
    }
}
