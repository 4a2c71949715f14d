//! The archive in files: a line of JSON for each task that leaves.
//!
//! A file holds what one process deleted on one day (UTC). Lines are on disk before the transaction that
//! deletes their tasks commits: after a crash between the two a task is still there and comes again
//! later, so that it may be in the archive twice, and the later line is the one that counts.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use chrono::Utc;
use tokio::task::spawn_blocking;

/// Where the lines of this process go.
#[derive(Debug, Clone)]
pub struct Archive {
    folder: PathBuf,
    instance: String,
}

/// The archive could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct ArchiveError {
    path: PathBuf,
    source: io::Error,
}

impl Archive {
    pub(super) fn new(folder: &str, instance: &str) -> Self {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        Self {
            folder: folder.into(),
            instance: instance.replace(|c| !allowed(c), "_"),
        }
    }

    /// Adds lines to the file of today; they are on disk when it returns.
    pub(super) async fn append(&self, lines: Vec<String>) -> Result<(), ArchiveError> {
        let day = Utc::now().format("%Y-%m-%d");
        let path = self
            .folder
            .join(format!("tasks-{day}-{}.jsonl", self.instance));
        let written = spawn_blocking(move || {
            append(&path, &lines).map_err(|source| ArchiveError { path, source })
        });
        written
            .await
            .expect("a task that blocks is not cancelled, and does not panic")
    }
}

fn append(path: &Path, lines: &[String]) -> io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder)?;
    let is_new = !path.exists();
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(path)?;
    // Another process may have been given the same name.
    file.lock()?;
    drop_torn_line(&mut file)?;
    let mut text = lines.join("\n");
    text.push('\n');
    file.write_all(text.as_bytes())?;
    file.sync_data()?;
    if is_new {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Cuts off what a process wrote last that ended in the middle of a line: its task was not deleted.
fn drop_torn_line(file: &mut File) -> io::Result<()> {
    const PART: u64 = 64 * 1024;
    let mut end = file.seek(SeekFrom::End(0))?;
    let length = end;
    while end > 0 {
        let start = end.saturating_sub(PART);
        let mut part = Vec::new();
        file.seek(SeekFrom::Start(start))?;
        Read::by_ref(file)
            .take(end - start)
            .read_to_end(&mut part)?;
        if let Some(at) = part.iter().rposition(|byte| *byte == b'\n') {
            end = start + at as u64 + 1;
            break;
        }
        end = start;
    }
    if end < length {
        file.set_len(end)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_that_a_crash_cut_short_is_dropped_before_the_next_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let archive = Archive::new(folder.path().to_str().unwrap(), "host/1");
        archive.append(vec!["{\"a\":1}".to_owned()]).await.unwrap();
        let path = fs::read_dir(folder.path())
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        assert!(
            path.to_str().unwrap().ends_with("-host_1.jsonl"),
            "{path:?}"
        );
        let torn = format!("{{\"b\":\"{}", "x".repeat(200_000));
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(torn.as_bytes()).unwrap();

        archive.append(vec!["{\"c\":1}".to_owned()]).await.unwrap();

        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"a\":1}\n{\"c\":1}\n");
    }
}
