//! The folder of a private server: its layout, who holds it, and how its data is made.
//!
//! ```text
//! DIR/lock        locked by the process that supervises the server
//! DIR/data        the cluster, made as data.new and renamed when complete
//! DIR/socket      the unix socket, unless the path is too long for one
//! DIR/server.log  what PostgreSQL says
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::account::Account;
use crate::binaries::Binaries;
use crate::child::{DeathSignal, spawn_bound};
use crate::error::StartError;
use crate::settings::Durability;

/// The longest path of a unix socket that every system takes (Linux 107, macOS 103).
const SOCKET_PATH_LIMIT: usize = 103;
/// What the server appends to its socket folder.
const SOCKET_FILE: &str = ".s.PGSQL.5432";
/// A log larger than this is restarted.
const LOG_LIMIT: u64 = 10 * 1024 * 1024;
/// Bytes order text, on every machine alike; elsewhere than on Linux the locale has no UTF-8 twin.
const LOCALE: &str = if cfg!(target_os = "linux") {
    "C.UTF-8"
} else {
    "C"
};

/// The superuser of every private cluster.
pub(crate) const SUPERUSER: &str = "postgres";

/// The places inside the folder of a private server.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) dir: PathBuf,
    pub(crate) data: PathBuf,
    pub(crate) socket_dir: PathBuf,
    pub(crate) log: PathBuf,
}

impl Layout {
    pub(crate) fn of(dir: &Path) -> Self {
        let socket_dir = dir.join("socket");
        let fits = socket_dir.join(SOCKET_FILE).as_os_str().len() <= SOCKET_PATH_LIMIT;
        Self {
            dir: dir.to_owned(),
            data: dir.join("data"),
            socket_dir: if fits {
                socket_dir
            } else {
                short_socket_dir(dir)
            },
            log: dir.join("server.log"),
        }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.socket_dir.join(SOCKET_FILE)
    }

    /// The major version that made the data, if there is data.
    pub(crate) fn data_version(&self) -> Result<Option<String>, StartError> {
        let file = self.data.join("PG_VERSION");
        match fs::read_to_string(&file) {
            Ok(text) => Ok(Some(text.trim().to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StartError::io(format!("read {}", file.display()))(error)),
        }
    }

    /// Makes the folders that are missing, open to nobody but the account of the server.
    pub(crate) fn prepare(&self, account: &Account) -> Result<(), StartError> {
        let had_data = self.data.exists();
        if !had_data && holds_something_else(&self.dir) {
            return Err(StartError::NotOurs {
                dir: self.dir.clone(),
            });
        }
        for folder in [&self.dir, &self.socket_dir] {
            make_private(folder, account).map_err(StartError::io(format!(
                "make the folder {}",
                folder.display()
            )))?;
            account.check_reaches(folder)?;
        }
        Ok(())
    }

    /// Takes the folder for this process until the returned file is closed.
    pub(crate) fn lock(&self) -> Result<File, StartError> {
        let path = self.dir.join("lock");
        let fault = || StartError::io(format!("lock {}", path.display()));
        let options = OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .clone();
        let mut file = options.open(&path).map_err(fault())?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = fs::read_to_string(&path)
                    .unwrap_or_default()
                    .trim()
                    .to_owned();
                return Err(StartError::AlreadyRunning {
                    dir: self.dir.clone(),
                    pid,
                });
            }
            Err(TryLockError::Error(error)) => return Err(fault()(error)),
        }
        file.set_len(0).map_err(fault())?;
        writeln!(file, "{}", std::process::id()).map_err(fault())?;
        Ok(file)
    }

    /// Opens the log to append to it.
    pub(crate) fn open_log(&self) -> io::Result<File> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)?;
        if log.metadata()?.len() > LOG_LIMIT {
            log.set_len(0)?;
        }
        Ok(log)
    }

    /// Makes the cluster. One that was cut short leaves nothing that looks like a cluster.
    pub(crate) fn init(
        &self,
        binaries: &Binaries,
        account: &Account,
        durability: Durability,
    ) -> Result<(), StartError> {
        let new = self.dir.join("data.new");
        if new.exists() {
            fs::remove_dir_all(&new)
                .map_err(StartError::io(format!("remove {}", new.display())))?;
        }
        let mut command = Command::new(binaries.program("initdb"));
        command.args([
            "--auth=trust",
            "--encoding=UTF8",
            "--no-instructions",
            "-U",
            SUPERUSER,
        ]);
        command
            .arg(format!("--locale={LOCALE}"))
            .arg("-D")
            .arg(&new);
        if durability == Durability::Disposable {
            command.arg("--no-sync");
        }
        command
            .current_dir(&self.dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        clean_environment(&mut command);
        account.run(&mut command);
        let output = spawn_bound(command, DeathSignal::Terminate)
            .and_then(std::process::Child::wait_with_output)
            .map_err(StartError::io("run initdb"))?;
        if !output.status.success() {
            let _ = fs::remove_dir_all(&new);
            let said = [output.stdout, output.stderr].concat();
            let output = String::from_utf8_lossy(&said).trim().to_owned();
            return Err(StartError::InitFailed {
                dir: self.dir.clone(),
                output,
            });
        }
        fs::rename(&new, &self.data).map_err(StartError::io(format!("rename {}", new.display())))
    }
}

/// Leaves the child only what it needs: a locale or a `PG*` variable of the user changes nothing.
pub(crate) fn clean_environment(command: &mut Command) {
    command.env_clear().env("TZ", "UTC").stdin(Stdio::null());
    for name in ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
}

fn holds_something_else(dir: &Path) -> bool {
    let ours = ["lock", "data.new", "socket", "server.log"];
    fs::read_dir(dir).is_ok_and(|entries| {
        entries
            .filter_map(Result::ok)
            .any(|entry| !ours.iter().any(|name| entry.file_name() == **name))
    })
}

/// A folder in the temporary folder, named after `dir` so that each start finds the same one.
fn short_socket_dir(dir: &Path) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    dir.hash(&mut hasher);
    PathBuf::from(format!("/tmp/tasker-pg-{:016x}", hasher.finish()))
}

/// Makes the folder with mode 0700, or refuses one that another user could have prepared.
fn make_private(folder: &Path, account: &Account) -> io::Result<()> {
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let found = fs::symlink_metadata(folder)?;
    let own_ids = [account.uid(), nix::unistd::geteuid().as_raw()];
    if !found.is_dir() || !own_ids.contains(&found.uid()) {
        return Err(io::Error::other("it exists and belongs to another user"));
    }
    account.own(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}
