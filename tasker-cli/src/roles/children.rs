//! Roles as processes of their own: the same binary, started, watched and stopped by this one.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use private_postgres::{DeathSignal, spawn_bound};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::failure::Failure;

/// Time between two looks at a child.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// How long a child may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a child may take to stop before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);
/// Lines of a child's log that an error shows.
const LOG_LINES: usize = 15;
/// The configuration environment of children.
const ENVIRONMENT: &str = "development";
/// Variables that would change what a child does, besides those that start with `TASKER_`.
const FOREIGN_VARIABLES: [&str; 5] = [
    "DATABASE_URL",
    "DEPLOYMENT_MODE",
    "INSTANCE_ID",
    "NAMESPACE",
    "POLL_INTERVAL_MS",
];

/// Where children work and log; removed at the end unless it is kept.
#[derive(Debug)]
pub(crate) struct Workplace {
    folder: TempDir,
    database_url: String,
}

impl Workplace {
    /// A new folder for children that work on this database.
    pub(crate) fn new(database_url: String) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("tasker-logs-").tempdir();
        let folder = folder
            .map_err(|error| Failure::new(format!("could not make a folder for logs: {error}")))?;
        Ok(Self {
            folder,
            database_url,
        })
    }

    /// Keeps the folder and says where it is.
    pub(crate) fn keep(self) -> PathBuf {
        self.folder.keep()
    }

    /// Starts a role. It is configured by nothing but this workplace and its arguments.
    pub(crate) fn start(&self, name: &str, arguments: &[&str]) -> Result<Role, Failure> {
        let failed =
            |error: io::Error| Failure::new(format!("could not start the {name}: {error}"));
        let folder = self.folder.path();
        let (log, answers) = (
            folder.join(format!("{name}.log")),
            folder.join(format!("{name}.out")),
        );
        let mut command = Command::new(env::current_exe().map_err(failed)?);
        command
            .arg("--json")
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(File::create(&answers).map_err(failed)?)
            .stderr(File::create(&log).map_err(failed)?);
        for (variable, _) in env::vars_os() {
            let foreign = variable.to_string_lossy();
            if foreign.starts_with("TASKER_") || FOREIGN_VARIABLES.contains(&&*foreign) {
                command.env_remove(&variable);
            }
        }
        command
            .env("DATABASE_URL", &self.database_url)
            .env("TASKER_ENV", ENVIRONMENT);
        let child = spawn_bound(command, DeathSignal::Kill).map_err(failed)?;
        Ok(Role {
            name: name.to_owned(),
            child,
            log,
            answers,
        })
    }
}

/// A role that runs as a child.
#[derive(Debug)]
pub(crate) struct Role {
    name: String,
    child: Child,
    log: PathBuf,
    answers: PathBuf,
}

impl Role {
    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The first line that the role answers, which it does when it works.
    pub(crate) async fn answer(&mut self) -> Result<Value, Failure> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let text = fs::read_to_string(&self.answers).unwrap_or_default();
            if let Some((line, _)) = text.split_once('\n') {
                return serde_json::from_str(line).map_err(|error| {
                    Failure::new(format!("the {} answers no JSON: {error}", self.name))
                });
            }
            self.check()?;
            if Instant::now() >= deadline {
                return Err(self.failure(&format!("did not start within {START_TIMEOUT:?}")));
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Fails when the role has ended by itself.
    pub(crate) fn check(&mut self) -> Result<(), Failure> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.failure(&format!("ended by itself ({status})"))),
            Err(error) => Err(self.failure(&format!("cannot be watched: {error}"))),
        }
    }

    /// Asks the role to stop and waits for that; kills it when it takes too long.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        self.signal(Signal::SIGTERM);
        let deadline = Instant::now() + STOP_TIMEOUT;
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if Instant::now() < deadline => sleep(POLL_INTERVAL).await,
                Ok(None) => {
                    let what = format!("did not stop within {STOP_TIMEOUT:?} and was killed");
                    return Err(self.failure(&what));
                }
                Err(error) => return Err(self.failure(&format!("cannot be stopped: {error}"))),
            }
        };
        if status.success() {
            return Ok(());
        }
        Err(self.failure(&ended_badly(status)))
    }

    fn signal(&self, signal: Signal) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            // A child that has ended needs no signal.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    fn failure(&self, what: &str) -> Failure {
        Failure::new(format!(
            "the {} {what}; its log {} ends with:\n{}",
            self.name,
            self.log.display(),
            last_lines(&self.log)
        ))
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ended_badly(status: ExitStatus) -> String {
    format!("did not stop cleanly ({status})")
}

fn last_lines(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}
