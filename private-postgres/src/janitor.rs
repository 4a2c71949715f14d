//! Cleans up after a process that could not do it itself, because it was killed.
//!
//! A small shell process waits for the end of its standard input, which comes when this process
//! ends. It then makes sure that the server stops and removes the folder if it was ephemeral.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tracing::debug;

/// `$1` is the folder of the server, `$2` says whether to remove it.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
read -r word
[ "$word" = dismissed ] && exit 0
tries=0
while pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null) && [ -n "$pid" ]; do
  tries=$((tries + 1))
  if [ $tries -gt 100 ]; then signal=KILL; else signal=INT; fi
  kill -s $signal "$pid" 2>/dev/null || break
  sleep 0.2
done
[ "$2" = remove ] && rm -rf -- "$1"
exit 0
"#;

/// What happens to the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Folder {
    Keep,
    Remove,
}

/// The waiting process. Dropping this sends it away without work.
#[derive(Debug)]
pub(crate) struct Janitor(Child);

impl Janitor {
    pub(crate) fn hire(dir: &Path, folder: Folder) -> io::Result<Self> {
        let remove = if folder == Folder::Remove {
            "remove"
        } else {
            "keep"
        };
        Command::new("/bin/sh")
            .args(["-c", SCRIPT, "tasker-janitor"])
            .arg(dir)
            .arg(remove)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map(Self)
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        let told = self
            .0
            .stdin
            .take()
            .map_or(Ok(()), |mut input| input.write_all(b"dismissed\n"));
        if let Err(error) = told.and_then(|()| self.0.wait().map(drop)) {
            debug!(%error, "could not dismiss the janitor of a private PostgreSQL");
        }
    }
}
