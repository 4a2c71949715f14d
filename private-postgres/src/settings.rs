//! What a caller may choose about a private server, and the server settings that follow from it.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use nix::unistd::geteuid;

/// What the data is worth after a crash of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// `fsync` and `synchronous_commit` are on: figures and guarantees are those of production.
    Production,
    /// Nothing is flushed. A crash of the server loses nothing, a crash of the machine everything.
    Disposable,
}

/// Where the server lives and how it behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(crate) dir: Option<PathBuf>,
    /// What the data is worth.
    pub durability: Durability,
    /// `max_connections` of the server.
    pub max_connections: u32,
    /// Further server settings by name; they win over the defaults.
    pub extra: Vec<(String, String)>,
    /// Folder of the PostgreSQL binaries; `None` searches as [`crate::find_binaries`] does.
    pub binaries: Option<PathBuf>,
    /// How long a start may take, crash recovery included.
    pub start_timeout: Duration,
    /// How long a clean stop may take before the server is stopped by force.
    pub stop_timeout: Duration,
}

impl Settings {
    /// A server whose data stays in `dir` from one start to the next.
    pub fn persistent(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: Some(dir.into()),
            ..Self::ephemeral()
        }
    }

    /// A server in a folder of its own that is removed when the server or this process ends.
    pub fn ephemeral() -> Self {
        Self {
            dir: None,
            durability: Durability::Production,
            max_connections: 100,
            extra: Vec::new(),
            binaries: None,
            start_timeout: Duration::from_mins(2),
            stop_timeout: Duration::from_secs(30),
        }
    }

    /// Chooses what the data is worth.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Sets `max_connections` of the server.
    #[must_use]
    pub fn max_connections(mut self, connections: u32) -> Self {
        self.max_connections = connections;
        self
    }

    /// Adds one server setting, as in `postgresql.conf`.
    #[must_use]
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.extra.push((name.into(), value.into()));
        self
    }

    /// Takes the PostgreSQL binaries from this folder and looks nowhere else.
    #[must_use]
    pub fn binaries(mut self, folder: impl Into<PathBuf>) -> Self {
        self.binaries = Some(folder.into());
        self
    }

    /// Every `name=value` the server is started with; of two with one name the later wins.
    pub(crate) fn server_settings(&self) -> Vec<(String, String)> {
        let mut settings: Vec<(String, String)> = [
            ("listen_addresses", ""),
            ("port", "5432"),
            ("logging_collector", "off"),
            ("log_destination", "stderr"),
            ("log_line_prefix", "%m [%p] "),
            ("log_timezone", "UTC"),
            ("timezone", "UTC"),
            ("jit", "off"),
            ("shared_buffers", "256MB"),
            ("max_wal_size", "2GB"),
            ("checkpoint_timeout", "15min"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        settings.push(("max_connections".into(), self.max_connections.to_string()));
        let flush = match self.durability {
            Durability::Production => "on",
            Durability::Disposable => "off",
        };
        settings.push(("fsync".into(), flush.into()));
        settings.push(("full_page_writes".into(), flush.into()));
        settings.push(("synchronous_commit".into(), "on".into()));
        settings.extend(self.extra.iter().cloned());
        settings
    }
}

/// Where a developer's server keeps its data unless told otherwise.
///
/// Root gets a place under `/var/lib`, because the account that runs the server for root must be
/// able to reach it; everybody else `$XDG_DATA_HOME` or `~/.local/share`.
pub fn default_dir() -> PathBuf {
    if geteuid().is_root() {
        return PathBuf::from("/var/lib/tasker-dev/pg");
    }
    let absolute = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_DATA_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
        .unwrap_or_else(|| env::temp_dir().join(format!("tasker-{}", geteuid())))
        .join("tasker/pg")
}
