//! Finds the PostgreSQL binaries of this machine and reads their version.

use std::cmp::Reverse;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::StartError;
use crate::version::{OLDEST_MAJOR, Version};

/// Where packages put versioned binaries. `*` stands for what differs from version to version.
const PACKAGE_FOLDERS: [&str; 8] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/libexec/postgresql*",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
    "/usr/local/pgsql/bin",
];

/// A folder with a working `postgres` and `initdb`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    /// The folder.
    pub folder: PathBuf,
    /// The version of its `postgres`.
    pub version: Version,
}

impl Binaries {
    /// Looks whether the folder holds a server; the error says what is wrong with it.
    fn at(folder: &Path) -> Result<Self, String> {
        for program in ["postgres", "initdb"] {
            if !folder.join(program).is_file() {
                return Err(format!("there is no {program} in it"));
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            version: version_of(folder)?,
        })
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Whether the files were replaced by another version since they were looked at.
    ///
    /// A package upgrade under a running server makes every new backend fail, because it loads
    /// libraries that no longer fit the program in memory.
    pub(crate) fn were_replaced(&self) -> bool {
        version_of(&self.folder).is_ok_and(|found| found != self.version)
    }
}

/// Finds the binaries: `TASKER_PG_BIN` if set, else the newest of packages, Homebrew and `PATH`.
pub fn find_binaries() -> Result<Binaries, StartError> {
    find(&Search::of_this_machine(None), None)
}

/// Where to look.
pub(crate) struct Search {
    pub(crate) only: Option<PathBuf>,
    pub(crate) packages: Vec<PathBuf>,
    pub(crate) path: OsString,
}

impl Search {
    /// `only` wins over `TASKER_PG_BIN`, and that over the search.
    pub(crate) fn of_this_machine(only: Option<&Path>) -> Self {
        let from_env = || env::var_os("TASKER_PG_BIN").filter(|value| !value.is_empty());
        Self {
            only: only
                .map(Path::to_owned)
                .or_else(|| from_env().map(PathBuf::from)),
            packages: PACKAGE_FOLDERS
                .iter()
                .flat_map(|pattern| expand(pattern))
                .collect(),
            path: env::var_os("PATH").unwrap_or_default(),
        }
    }
}

/// Takes those that fit the data (`preferred_major`) if there are some, else the newest.
pub(crate) fn find(search: &Search, preferred_major: Option<u32>) -> Result<Binaries, StartError> {
    if let Some(folder) = &search.only {
        let found = Binaries::at(folder).map_err(|reason| StartError::BinariesUnusable {
            folder: folder.clone(),
            reason,
        })?;
        return check_age(found);
    }
    let on_path = env::split_paths(&search.path).filter(|folder| folder.is_absolute());
    let found = search.packages.iter().cloned().chain(on_path);
    let mut found: Vec<Binaries> = found
        .filter_map(|folder| Binaries::at(&folder).ok())
        .collect();
    found.sort_by_key(|found| {
        (
            Some(found.version.major) != preferred_major,
            Reverse(found.version.major),
        )
    });
    match found.into_iter().next() {
        Some(best) => check_age(best),
        None => Err(StartError::BinariesNotFound {
            searched: format!("{}, PATH", PACKAGE_FOLDERS.join(", ")),
        }),
    }
}

fn check_age(found: Binaries) -> Result<Binaries, StartError> {
    if found.version.major < OLDEST_MAJOR {
        return Err(StartError::TooOld {
            folder: found.folder,
            version: found.version,
        });
    }
    Ok(found)
}

fn version_of(folder: &Path) -> Result<Version, String> {
    let output = Command::new(folder.join("postgres"))
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("postgres --version does not run: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Version::parse(&text).ok_or_else(|| {
        let said = String::from_utf8_lossy(&output.stderr);
        format!(
            "postgres --version says {:?}",
            format!("{text}{said}").trim()
        )
    })
}

/// Expands the one `*` of a pattern; a pattern without one is itself.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else {
        return vec![pattern.into()];
    };
    let (folder, prefix) = before.rsplit_once('/').unwrap_or(("", before));
    let Ok(entries) = fs::read_dir(format!("{folder}/")) else {
        return Vec::new();
    };
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path().join(after.trim_start_matches('/')))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes a folder of programs that only tell their version. A shell writes them: a file that is
    /// open for writing here could be inherited by a fork of another test, and would not run then.
    fn fake(folder: &Path, version: &str) -> PathBuf {
        fs::create_dir_all(folder).unwrap();
        let script = r#"for program in postgres initdb; do
            printf '#!/bin/sh\necho "%s (PostgreSQL) %s"\n' $program "$0" >$program
            chmod +x $program
        done"#;
        let written = Command::new("sh")
            .args(["-c", script, version])
            .current_dir(folder)
            .status()
            .unwrap();
        assert!(written.success());
        folder.to_owned()
    }

    fn search(packages: Vec<PathBuf>) -> Search {
        Search {
            only: None,
            packages,
            path: OsString::new(),
        }
    }

    #[test]
    fn the_newest_version_is_taken_unless_the_data_needs_another() {
        let root = tempfile::tempdir().unwrap();
        let old = fake(&root.path().join("9"), "9.6.1");
        let good = fake(&root.path().join("15"), "15.20");
        let new = fake(&root.path().join("18"), "18.4");
        let search = search(vec![old, good.clone(), new.clone()]);
        assert_eq!(find(&search, None).unwrap().folder, new);
        assert_eq!(find(&search, Some(15)).unwrap().folder, good);
        assert_eq!(find(&search, Some(16)).unwrap().folder, new);
    }

    #[test]
    fn a_server_on_the_path_is_found() {
        let root = tempfile::tempdir().unwrap();
        let folder = fake(root.path(), "16.1");
        let search = Search {
            only: None,
            packages: Vec::new(),
            path: folder.clone().into(),
        };
        assert_eq!(find(&search, None).unwrap().folder, folder);
    }

    #[test]
    fn a_version_that_is_too_old_is_refused_by_name() {
        let root = tempfile::tempdir().unwrap();
        let search = search(vec![fake(root.path(), "13.2")]);
        let error = find(&search, None).unwrap_err();
        assert!(matches!(error, StartError::TooOld { .. }), "{error}");
        assert!(error.to_string().contains("PostgreSQL 13.2"), "{error}");
    }

    #[test]
    fn a_machine_without_postgresql_is_told_what_to_install() {
        let error = find(&search(Vec::new()), None).unwrap_err().to_string();
        for words in [
            "apt-get install postgresql",
            "dnf install",
            "brew install",
            "TASKER_PG_BIN",
        ] {
            assert!(error.contains(words), "{words} is missing in: {error}");
        }
    }

    #[test]
    fn a_named_folder_is_used_alone_and_its_fault_is_told() {
        let root = tempfile::tempdir().unwrap();
        let packages = vec![fake(&root.path().join("good"), "15.1")];
        let empty = root.path().join("empty");
        let search = Search {
            only: Some(empty.clone()),
            packages,
            path: OsString::new(),
        };
        let error = find(&search, None).unwrap_err().to_string();
        assert!(error.contains("there is no postgres in it"), "{error}");
        assert!(error.contains(&*empty.to_string_lossy()), "{error}");
    }

    #[test]
    fn an_upgrade_under_a_running_server_is_noticed() {
        let root = tempfile::tempdir().unwrap();
        let found = Binaries::at(&fake(root.path(), "15.18")).unwrap();
        assert!(!found.were_replaced());
        fake(root.path(), "15.20");
        assert!(found.were_replaced());
    }

    #[test]
    fn a_pattern_expands_to_the_folders_that_exist() {
        let root = tempfile::tempdir().unwrap();
        let bin = root.path().join("pg-17/bin");
        fs::create_dir_all(&bin).unwrap();
        fs::create_dir_all(root.path().join("other/bin")).unwrap();
        assert_eq!(
            expand(&format!("{}/pg-*/bin", root.path().display())),
            [bin]
        );
    }
}
