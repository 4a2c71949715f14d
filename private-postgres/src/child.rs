//! Child processes that never outlive this one.
//!
//! Linux sends the death signal when the *thread* that forked ends, not the process. A child that
//! is spawned from a pooled thread would die at a random moment; therefore all are spawned by one
//! thread that is kept for this and never ends.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::Mutex;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

/// What a child receives when this process is gone, where the system can do that (Linux).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeathSignal {
    /// SIGINT: PostgreSQL takes it as a fast and clean shutdown.
    Interrupt,
    /// SIGTERM: a polite end.
    Terminate,
    /// SIGKILL: the end at once.
    Kill,
}

struct Request {
    command: Command,
    answer: SyncSender<io::Result<Child>>,
}

static SPAWNER: Mutex<Option<SyncSender<Request>>> = Mutex::new(None);

/// Spawns the command so that the child gets `signal` when this process ends, however it ends.
///
/// The child also gets a process group of its own, so that Ctrl-C in a terminal reaches only this
/// process, which then decides.
pub fn spawn_bound(mut command: Command, signal: DeathSignal) -> io::Result<Child> {
    command.process_group(0);
    bind(&mut command, signal);
    let (answer, answered) = sync_channel(1);
    spawner()?
        .send(Request { command, answer })
        .map_err(|_| spawner_is_gone())?;
    answered.recv().map_err(|_| spawner_is_gone())?
}

fn spawner() -> io::Result<SyncSender<Request>> {
    let mut spawner = SPAWNER.lock().map_err(|_| spawner_is_gone())?;
    if let Some(sender) = spawner.as_ref() {
        return Ok(sender.clone());
    }
    let (sender, requests) = sync_channel::<Request>(1);
    thread::Builder::new()
        .name("child-spawner".into())
        .spawn(move || {
            // The static keeps a sender for ever, so this loop, and with it the thread, never ends.
            for mut request in requests {
                let child = request.command.spawn();
                // A caller that is gone has no use for the child, and dropping it leaves it running:
                // the death signal is what ends it.
                let _ = request.answer.send(child);
            }
        })?;
    *spawner = Some(sender.clone());
    Ok(sender)
}

fn spawner_is_gone() -> io::Error {
    io::Error::other("the thread that spawns children is gone")
}

#[cfg(target_os = "linux")]
#[expect(
    unsafe_code,
    reason = "the death signal can only be set between fork and exec"
)]
fn bind(command: &mut Command, signal: DeathSignal) {
    use nix::sys::prctl::set_pdeathsig;
    use nix::sys::signal::Signal;

    let signal = match signal {
        DeathSignal::Interrupt => Signal::SIGINT,
        DeathSignal::Terminate => Signal::SIGTERM,
        DeathSignal::Kill => Signal::SIGKILL,
    };
    let parent = std::process::id();
    // SAFETY: the closure only makes two system calls, both async-signal-safe, and allocates
    // nothing. It runs after the change of user, which would clear the death signal.
    unsafe {
        command.pre_exec(move || {
            set_pdeathsig(signal).map_err(io::Error::from)?;
            if std::os::unix::process::parent_id() == parent {
                Ok(())
            } else {
                // The parent ended between fork and here, too early for the signal.
                Err(io::Error::from_raw_os_error(nix::libc::ESRCH))
            }
        });
    }
}

#[cfg(not(target_os = "linux"))]
fn bind(_command: &mut Command, _signal: DeathSignal) {}
