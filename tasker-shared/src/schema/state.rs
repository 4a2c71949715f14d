//! Which schema a database has, and whether this build can use it.

use std::collections::HashMap;
use std::fmt;

use sqlx::{AssertSqlSafe, PgConnection};

use super::files::{self, SchemaFile, is_migration};
use super::version::Version;
use crate::database::Database;
use crate::error::Error;

/// What the schema of a database is to this build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaState {
    /// All that this build brings is there.
    Current,
    /// A newer build brought it up to date, and this one can use it.
    Newer {
        /// The version of that build.
        version: Version,
    },
    /// There is none.
    Missing,
    /// Something that this build brings is not there.
    Outdated {
        /// The version of the build that brought it up to date.
        version: Version,
    },
    /// A newer build brought it up to date, and this one is too old for it.
    TooNew {
        /// The version of that build.
        version: Version,
        /// The oldest build that can use it.
        oldest_build: Version,
    },
    /// No build can bring it up to date.
    Foreign {
        /// Why not.
        reason: String,
    },
}

impl SchemaState {
    /// Whether this build can run on it.
    pub const fn is_usable(&self) -> bool {
        matches!(self, Self::Current | Self::Newer { .. })
    }

    /// What to do where it cannot.
    pub fn hint(&self) -> String {
        match self {
            Self::Current | Self::Newer { .. } => "there is nothing to do".to_owned(),
            Self::Missing | Self::Outdated { .. } => {
                "run `tasker migrate` of this build first; it is safe while other processes run"
                    .to_owned()
            }
            Self::TooNew { oldest_build, .. } => {
                format!("use tasker {oldest_build} or newer")
            }
            Self::Foreign { .. } => {
                "use the build that made it, or another database; nothing was changed".to_owned()
            }
        }
    }
}

impl fmt::Display for SchemaState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let build = Version::of_this_build();
        match self {
            Self::Current => write!(f, "the database has the schema of tasker {build}"),
            Self::Newer { version } => write!(
                f,
                "the database has the schema of tasker {version}, which this build ({build}) can use"
            ),
            Self::Missing => f.write_str("the database has no schema of tasker"),
            Self::Outdated { version } if *version == build => write!(
                f,
                "the database has the schema of another build of tasker {build}"
            ),
            Self::Outdated { version } => write!(
                f,
                "the database has the schema of tasker {version}; this is tasker {build}"
            ),
            Self::TooNew {
                version,
                oldest_build,
            } => write!(
                f,
                "the database has the schema of tasker {version}, which builds from {oldest_build} on \
                 can use; this is tasker {build}"
            ),
            Self::Foreign { reason } => write!(
                f,
                "the schema of the database cannot be brought up to date: {reason}"
            ),
        }
    }
}

/// The schema of the database, as this build sees it.
///
/// # Errors
/// Those of the database.
pub async fn schema_state(database: &Database) -> Result<SchemaState, Error> {
    database
        .call("schema_state", async |connection| {
            Ok(Applied::read(connection).await?.state())
        })
        .await
}

/// SQL of what tells the files that were applied from any others.
pub(super) const FINGERPRINT: &str =
    "select md5(string_agg(file || checksum, ' ' order by file)) from tasker.applied_files";

/// What a database remembers of its schema.
pub(super) struct Applied {
    /// The checksum of each applied file.
    files: HashMap<String, String>,
    /// The build that brought it up to date, and the oldest that can use it.
    versions: Option<(Version, Version)>,
    /// What tells these files from any others.
    fingerprint: Option<String>,
    /// Whether a build made it that was never released.
    is_unreleased: bool,
}

impl Applied {
    pub(super) async fn read(connection: &mut PgConnection) -> Result<Self, Error> {
        let (is_there, is_unreleased): (bool, bool) = sqlx::query_as(
            "select to_regclass('tasker.applied_files') is not null,
              to_regclass('tasker._migrations') is not null",
        )
        .fetch_one(&mut *connection)
        .await?;
        let mut applied = Self {
            files: HashMap::new(),
            versions: None,
            fingerprint: None,
            is_unreleased,
        };
        if !is_there {
            return Ok(applied);
        }
        // One statement, and so one snapshot, however many migrate meanwhile.
        let (names, checksums, fingerprint, versions) = sqlx::query_as(AssertSqlSafe(format!(
            "select array_agg(file), array_agg(checksum), ({FINGERPRINT}),
              (select array[version, oldest_build] from tasker.schema_version)
            from tasker.applied_files"
        )))
        .fetch_one(connection)
        .await?;
        let (names, checksums): (Option<Vec<String>>, Option<Vec<String>>) = (names, checksums);
        let names = names.unwrap_or_default().into_iter();
        applied.files = names.zip(checksums.unwrap_or_default()).collect();
        applied.fingerprint = fingerprint;
        let versions: Option<[String; 2]> = versions;
        if let Some([version, oldest_build]) = versions {
            applied.versions = Some((version.parse()?, oldest_build.parse()?));
        }
        Ok(applied)
    }

    /// The build that brought it up to date.
    pub(super) fn version(&self) -> Option<Version> {
        self.versions.map(|(version, _)| version)
    }

    /// What tells the applied files from any others; `None` where there are none.
    pub(super) fn fingerprint(&self) -> Option<&str> {
        self.fingerprint.as_deref()
    }

    /// What these are to this build.
    pub(super) fn state(&self) -> SchemaState {
        let build = Version::of_this_build();
        let Some((version, oldest_build)) = self.versions else {
            return if self.is_unreleased {
                SchemaState::Foreign {
                    reason: "a build from before the first release made it".to_owned(),
                }
            } else {
                SchemaState::Missing
            };
        };
        if version > build {
            return if build >= oldest_build {
                SchemaState::Newer { version }
            } else {
                SchemaState::TooNew {
                    version,
                    oldest_build,
                }
            };
        }
        if let Some(reason) = self.conflict() {
            SchemaState::Foreign { reason }
        } else if self.missing().next().is_some() {
            SchemaState::Outdated { version }
        } else {
            SchemaState::Current
        }
    }

    /// The files that are to be applied, in their order.
    pub(super) fn missing(&self) -> impl Iterator<Item = &'static SchemaFile> {
        files::all()
            .iter()
            .filter(|file| self.files.get(&file.name) != Some(&file.checksum))
    }

    /// Why what was applied is not an earlier form of what this build brings.
    fn conflict(&self) -> Option<String> {
        let changed = |file: &&SchemaFile| {
            let applied = self.files.get(&file.name);
            file.is_migration() && applied.is_some_and(|applied| *applied != file.checksum)
        };
        if let Some(file) = files::all().iter().find(changed) {
            return Some(format!("{} was applied in another form", file.name));
        }
        let mut applied = self.files.keys().filter(|name| is_migration(name));
        let unknown = applied.find(|name| files::all().iter().all(|file| file.name != **name))?;
        Some(format!(
            "{unknown} was applied, which this build does not know"
        ))
    }
}
