//! Databases as releases of Tasker made them.

use std::fs;
use std::path::{Path, PathBuf};

/// A release whose databases every later build has to upgrade.
#[derive(Debug, Clone)]
pub struct Release {
    /// Its version.
    pub version: String,
    /// A dump of a database of it, with work in every state.
    pub dump: PathBuf,
    /// The functions of the schema that its programs call.
    pub calls: Vec<String>,
}

/// All releases, in no order.
pub fn releases() -> Vec<Release> {
    let files = fs::read_dir(releases_folder()).expect("the releases are in the repository");
    let files = files.map(|file| file.expect("the folder can be read").path());
    let releases = files
        .filter(|file| file.extension().is_some_and(|it| it == "sql"))
        .map(|dump| {
            let version = dump.file_stem().expect("it has an extension");
            let calls = fs::read_to_string(dump.with_extension("calls"));
            let calls = calls.expect("the calls are beside the dump");
            Release {
                version: version.to_string_lossy().into_owned(),
                calls: calls.lines().map(str::to_owned).collect(),
                dump,
            }
        })
        .collect::<Vec<_>>();
    assert!(!releases.is_empty(), "no release is in the repository");
    releases
}

/// Where a release adds its files.
pub fn releases_folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/releases"))
}
