//! What the operating system tells about the processes of a server.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How often a state of the server is looked at; there is nothing to wait on for it.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// Line of `postmaster.pid` that tells the status.
const STATUS_LINE: usize = 7;

/// What `postmaster.pid` tells.
pub(crate) struct PidFile {
    pub(crate) pid: u32,
    pub(crate) ready: bool,
}

impl PidFile {
    pub(crate) const NAME: &str = "postmaster.pid";

    pub(crate) fn read(data: &Path) -> Option<Self> {
        let text = fs::read_to_string(data.join(Self::NAME)).ok()?;
        let pid = text.lines().next()?.trim().parse().ok()?;
        let ready = text
            .lines()
            .nth(STATUS_LINE)
            .is_some_and(|line| line.trim() == "ready");
        Some(Self { pid, ready })
    }
}

/// Whether the process is a server on this data. Where that cannot be told, a live one counts.
pub(crate) fn runs_on(pid: u32, data: &Path) -> bool {
    let Ok(raw) = i32::try_from(pid) else {
        return false;
    };
    if kill(Pid::from_raw(raw), None) == Err(Errno::ESRCH) {
        return false;
    }
    let data = data.as_os_str().as_encoded_bytes();
    fs::read(format!("/proc/{pid}/cmdline")).map_or(!cfg!(target_os = "linux"), |line| {
        line.split(|byte| *byte == 0).any(|a| a == data)
    })
}

/// The children of a process, where the system has a `/proc`.
pub(crate) fn children_of(pid: u32) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let parent_of = |stat: &str| {
        // The name, in brackets, may hold anything; state and parent follow it.
        let (_, after_name) = stat.rsplit_once(')')?;
        after_name.split_whitespace().nth(1)?.parse::<u32>().ok()
    };
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|child: &i32| {
            fs::read_to_string(format!("/proc/{child}/stat"))
                .is_ok_and(|stat| parent_of(&stat) == Some(pid))
        })
        .map(Pid::from_raw)
        .collect()
}

/// Sends a signal; a process that is gone already is fine.
pub(crate) fn signal(child: &Child, signal: Signal) -> io::Result<()> {
    let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
    match kill(Pid::from_raw(pid), signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Waits for the end of the child, but no longer than this.
pub(crate) fn ended_within(child: &mut Child, patience: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + patience;
    while child.try_wait()?.is_none() {
        if Instant::now() >= deadline {
            return Ok(false);
        }
        thread::sleep(POLL_INTERVAL);
    }
    Ok(true)
}
