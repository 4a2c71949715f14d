//! The account that runs the server. PostgreSQL refuses to run as root, so root borrows another.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::unistd::{Uid, User, geteuid};

use crate::error::StartError;

const MAY_ENTER: u32 = 0o1;

/// Who runs the server.
#[derive(Clone, Debug)]
pub(crate) enum Account {
    /// The user of this process.
    Ourselves,
    /// Another one, because this process runs as root.
    Other { name: String, uid: u32, gid: u32 },
}

impl Account {
    /// Who runs a server on this data: its owner, if that is not root.
    pub(crate) fn for_data(data: &Path) -> Result<Self, StartError> {
        let owner = fs::metadata(data)
            .ok()
            .map(|meta| Uid::from_raw(meta.uid()));
        match owner.filter(|uid| geteuid().is_root() && !uid.is_root()) {
            Some(uid) => match User::from_uid(uid) {
                Ok(Some(user)) => Ok(Self::from(user)),
                _ => Self::for_new_data(),
            },
            None => Self::for_new_data(),
        }
    }

    /// Who runs a server that has no data yet: ourselves, or for root `postgres` or `nobody`.
    pub(crate) fn for_new_data() -> Result<Self, StartError> {
        if !geteuid().is_root() {
            return Ok(Self::Ourselves);
        }
        let by_name = |name| User::from_name(name).ok().flatten();
        let user = by_name("postgres").or_else(|| by_name("nobody"));
        user.map(Self::from).ok_or(StartError::NoAccount)
    }

    /// Makes the command run as this account.
    pub(crate) fn run(&self, command: &mut Command) {
        if let Self::Other { uid, gid, .. } = self {
            command.uid(*uid).gid(*gid);
        }
    }

    /// Gives the path to this account.
    pub(crate) fn own(&self, path: &Path) -> io::Result<()> {
        match self {
            Self::Ourselves => Ok(()),
            Self::Other { uid, gid, .. } => std::os::unix::fs::chown(path, Some(*uid), Some(*gid)),
        }
    }

    /// User id of the account.
    pub(crate) fn uid(&self) -> u32 {
        match self {
            Self::Ourselves => geteuid().as_raw(),
            Self::Other { uid, .. } => *uid,
        }
    }

    /// Checks that the account can get to `path`, and names the folder that shuts it out.
    pub(crate) fn check_reaches(&self, path: &Path) -> Result<(), StartError> {
        let Self::Other { name, uid, gid } = self else {
            return Ok(());
        };
        let real = fs::canonicalize(path)
            .map_err(StartError::io(format!("look at {}", path.display())))?;
        for folder in real.ancestors().filter(|folder| folder.is_dir()) {
            let meta = fs::metadata(folder)
                .map_err(StartError::io(format!("look at {}", folder.display())))?;
            if !may_enter(&meta, *uid, *gid) {
                return Err(StartError::Unreachable {
                    path: path.to_owned(),
                    blocked: folder.to_owned(),
                    account: name.clone(),
                });
            }
        }
        Ok(())
    }
}

impl From<User> for Account {
    fn from(user: User) -> Self {
        Self::Other {
            name: user.name,
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
        }
    }
}

fn may_enter(folder: &Metadata, uid: u32, gid: u32) -> bool {
    let mode = folder.permissions().mode();
    let bits = if folder.uid() == uid {
        mode >> 6
    } else if folder.gid() == gid {
        mode >> 3
    } else {
        mode
    };
    bits & MAY_ENTER != 0
}
