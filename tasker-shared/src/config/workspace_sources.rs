//! The text of the workspace's sources, for tests that look for readers and callers.

use std::{fs, path::Path};

/// The sources of each crate of the workspace, in one text each, without those below `left_out`.
pub(crate) fn of_each_crate(left_out: &str) -> Vec<String> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let left_out = workspace.join(left_out);
    let folders = fs::read_dir(workspace)
        .unwrap()
        .map(|entry| entry.unwrap().path().join("src"));
    folders
        .filter(|path| path.is_dir())
        .map(|path| below(&path, &left_out))
        .collect()
}

fn below(folder: &Path, left_out: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path != left_out {
            text += &below(&path, left_out);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text += &fs::read_to_string(&path).unwrap();
        }
    }
    text
}
