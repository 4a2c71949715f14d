//! Which `tasker dev` this account runs: each writes a file that says where, and holds its lock.
//!
//! The file is in a folder of the account alone. The lock shows whether its process lives: it
//! ends with the process however that ends; a file that nobody holds is removed.

use std::env;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};

/// What the name of a file ends with; while one is written it has another name.
const SUFFIX: &str = "json";

/// A `tasker dev` that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunningDev {
    /// Its process.
    pub(crate) pid: u32,
    /// Address of its database.
    pub(crate) database_url: String,
    /// Address of its API.
    pub(crate) api: String,
    /// Folder of its server.
    pub(crate) data_dir: PathBuf,
}

/// Announces this process to other commands until it is dropped.
#[derive(Debug)]
pub(crate) struct Registration {
    path: PathBuf,
    /// Holds the lock.
    _file: File,
}

impl Drop for Registration {
    fn drop(&mut self) {
        // Who finds it there finds it without a lock.
        let _ = fs::remove_file(&self.path);
    }
}

/// Lets commands of this account find this process.
pub(crate) fn register(dev: &RunningDev) -> io::Result<Registration> {
    register_in(&folder(), dev)
}

/// Every `tasker dev` of this account that lives.
pub(crate) fn all() -> Vec<RunningDev> {
    all_in(&folder())
}

/// The one that has its data in this folder.
pub(crate) fn in_folder(data_dir: &Path) -> Option<RunningDev> {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let wanted = real(data_dir);
    all().into_iter().find(|dev| real(&dev.data_dir) == wanted)
}

/// Where files are that live as long as the account's session, or the machine.
fn folder() -> PathBuf {
    let runtime = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    match runtime.filter(|path| path.is_absolute()) {
        Some(runtime) => runtime.join("tasker"),
        None => env::temp_dir().join(format!("tasker-{}", geteuid())),
    }
}

fn register_in(folder: &Path, dev: &RunningDev) -> io::Result<Registration> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    if !is_ours_alone(folder) {
        return Err(io::Error::other(format!(
            "{} belongs to another user or is open to others",
            folder.display()
        )));
    }
    let unfinished = folder.join(dev.pid.to_string());
    let path = unfinished.with_extension(SUFFIX);
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&unfinished)?;
    file.lock()?;
    serde_json::to_writer(&file, dev)?;
    file.flush()?;
    fs::rename(&unfinished, &path)?;
    Ok(Registration { path, _file: file })
}

fn all_in(folder: &Path) -> Vec<RunningDev> {
    if !is_ours_alone(folder) {
        return Vec::new();
    }
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let mut found: Vec<RunningDev> = paths
        .filter(|path| path.extension().is_some_and(|it| it == SUFFIX))
        .filter_map(|path| read(&path))
        .collect();
    found.sort_by_key(|dev| dev.pid);
    found
}

/// What the file says, if its process lives.
fn read(path: &Path) -> Option<RunningDev> {
    let file = File::open(path).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => serde_json::from_reader(file).ok(),
        Err(TryLockError::Error(_)) => None,
        Ok(()) => {
            // Its process ended without the time to remove it. Another may have done it since.
            let _ = fs::remove_file(path);
            None
        }
    }
}

/// Whether nobody else can have written into the folder.
fn is_ours_alone(folder: &Path) -> bool {
    const FOR_OTHERS: u32 = 0o022;
    fs::symlink_metadata(folder).is_ok_and(|found| {
        found.is_dir() && found.uid() == geteuid().as_raw() && found.mode() & FOR_OTHERS == 0
    })
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn dev(pid: u32) -> RunningDev {
        RunningDev {
            pid,
            database_url: "postgres://postgres@localhost/tasker".to_owned(),
            api: "http://127.0.0.1:8080".to_owned(),
            data_dir: PathBuf::from("/nowhere"),
        }
    }

    #[test]
    fn those_that_live_are_found_and_the_others_forgotten() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("tasker");
        assert_eq!(all_in(&folder), []);
        let first = register_in(&folder, &dev(1)).unwrap();
        let second = register_in(&folder, &dev(2)).unwrap();
        assert_eq!(all_in(&folder), [dev(1), dev(2)]);

        drop(first);
        assert_eq!(all_in(&folder), [dev(2)]);
        // A process that is killed leaves its file, and loses its lock.
        let Registration { path, .. } = &second;
        let left = path.with_file_name("3.json");
        fs::copy(path, &left).unwrap();
        assert_eq!(all_in(&folder), [dev(2)]);
        assert!(!left.exists());
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_not_believed() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("tasker");
        let _registration = register_in(&folder, &dev(1)).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
        assert_eq!(all_in(&folder), []);
        assert!(register_in(&folder, &dev(2)).is_err());
    }
}
