//! Why a private server could not be started or asked. Each text says what the reader can change.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::version::{OLDEST_MAJOR, Version};

/// How to install the server binaries, for people who read an error message.
const HOW_TO_INSTALL: &str = "\
Install PostgreSQL 14 or later:
  Debian, Ubuntu:   sudo apt-get install postgresql
  Fedora, RHEL:     sudo dnf install postgresql-server
  Arch:             sudo pacman -S postgresql
  Alpine:           sudo apk add postgresql
  macOS, Homebrew:  brew install postgresql@17
or set TASKER_PG_BIN to the folder that holds `postgres` and `initdb`.
Or run against a server you have: set DATABASE_URL.";

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No usable server binaries on this machine.
    #[error("no PostgreSQL server binaries found (looked in {searched}).\n{HOW_TO_INSTALL}")]
    BinariesNotFound {
        /// The places that were looked at.
        searched: String,
    },

    /// The folder that was named holds no working server.
    #[error("{} holds no usable PostgreSQL: {reason}.\n{HOW_TO_INSTALL}", folder.display())]
    BinariesUnusable {
        /// The folder, from `TASKER_PG_BIN` or the settings.
        folder: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// The newest binaries are older than what Tasker supports.
    #[error(
        "PostgreSQL {version} in {} is too old, {OLDEST_MAJOR} or later is needed.\n{HOW_TO_INSTALL}",
        folder.display()
    )]
    TooOld {
        /// Where the binaries are.
        folder: PathBuf,
        /// Their version.
        version: Version,
    },

    /// The data was made by another major version than any that is installed.
    #[error(
        "the data in {} was made by PostgreSQL {data_major}, but {} holds version {version}: \
         install PostgreSQL {data_major} beside it, or choose another data folder, \
         or delete this one if its data is not needed",
        dir.display(), folder.display()
    )]
    VersionMismatch {
        /// The folder of the private server.
        dir: PathBuf,
        /// Major version that made the data.
        data_major: String,
        /// Where the binaries are.
        folder: PathBuf,
        /// Their version.
        version: Version,
    },

    /// Another process uses the folder.
    #[error(
        "a PostgreSQL server already runs in {} (process {pid}): stop it first, \
         or choose another data folder",
        dir.display()
    )]
    AlreadyRunning {
        /// The folder of the private server.
        dir: PathBuf,
        /// The process that holds it: its supervisor, or the server itself.
        pid: String,
    },

    /// The folder exists and holds something else.
    #[error(
        "{} is not empty and not a data folder of a private PostgreSQL: choose another folder",
        dir.display()
    )]
    NotOurs {
        /// The folder that was named.
        dir: PathBuf,
    },

    /// The account that has to run the server for root cannot enter a folder on the way.
    #[error(
        "PostgreSQL refuses to run as root, so it runs as user {account}, who cannot enter {}, \
         and so cannot use {}: choose a place that everybody can enter, such as /var/lib/tasker-dev",
        blocked.display(), path.display()
    )]
    Unreachable {
        /// What the server needs.
        path: PathBuf,
        /// The folder on the way that shuts it out.
        blocked: PathBuf,
        /// The account.
        account: String,
    },

    /// There is no account to run the server for root.
    #[error("PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody")]
    NoAccount,

    /// `initdb` failed; nothing was left behind.
    #[error("could not make a database cluster in {}:\n{output}", dir.display())]
    InitFailed {
        /// The folder of the private server.
        dir: PathBuf,
        /// What `initdb` said.
        output: String,
    },

    /// The server ended before it was ready.
    #[error("PostgreSQL did not start in {}:\n{log}", dir.display())]
    Exited {
        /// The folder of the private server.
        dir: PathBuf,
        /// The last lines of its log.
        log: String,
    },

    /// The server was not ready in time; it was stopped again.
    #[error("PostgreSQL was not ready after {waited:?} in {}:\n{log}", dir.display())]
    TimedOut {
        /// The folder of the private server.
        dir: PathBuf,
        /// How long was waited.
        waited: Duration,
        /// The last lines of its log.
        log: String,
    },

    /// The operating system refused something.
    #[error("could not {action}: {source}")]
    Io {
        /// What was tried, with the path.
        action: String,
        /// The answer.
        source: io::Error,
    },
}

impl StartError {
    /// Wraps an I/O error with what was tried.
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }
}

/// Why the running server did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The name cannot be a database name.
    #[error("{name:?} cannot be a database name: it must have 1 to 63 bytes and no NUL")]
    BadName {
        /// The name.
        name: String,
    },

    /// The server refused, or could not be reached.
    #[error("the private PostgreSQL did not do it: {0}")]
    Failed(#[from] sqlx::Error),

    /// The server did not answer in time.
    #[error("the private PostgreSQL did not answer within {0:?}")]
    Silent(Duration),
}
