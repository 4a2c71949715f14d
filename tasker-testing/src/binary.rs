//! The built `tasker` binary as a child process, with its output in a file.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use private_postgres::{DeathSignal, spawn_bound};
use tempfile::TempDir;

use crate::continuation::{CONTINUATION_LIMIT, ENQUEUE_DEPENDENTS};
use crate::wait::{WAIT_TIMEOUT, wait_for};

/// Variables of Tasker's own that a test run sets for all that it starts.
const SET_FOR_ALL: [&str; 3] = ["TASKER_PG_BIN", CONTINUATION_LIMIT, ENQUEUE_DEPENDENTS];
/// Variables of the caller's shell that would change what the binary does.
const FOREIGN_VARIABLES: [&str; 5] = [
    "DATABASE_URL",
    "DEPLOYMENT_MODE",
    "INSTANCE_ID",
    "NAMESPACE",
    "POLL_INTERVAL_MS",
];
/// Lines of the log that a failing test shows.
const LOG_LINES: usize = 200;
/// What a process prints, and what a command prints of errors.
const OUTPUT: &str = "output.log";
const ERRORS: &str = "errors.log";
/// A deadline that only a command that hangs misses.
const LONGEST_COMMAND: Duration = WAIT_TIMEOUT.saturating_mul(5);

/// Where the binary is.
#[derive(Clone, Debug)]
pub struct TaskerBinary(PathBuf);

impl TaskerBinary {
    /// Finds the binary that cargo built for this test run.
    ///
    /// Cargo builds it for the integration tests of `tasker-cli`, and in a test run of the whole
    /// workspace. A test elsewhere that is run alone takes what an earlier build left there.
    pub fn locate() -> Self {
        let named = env::var_os("CARGO_BIN_EXE_tasker").map(PathBuf::from);
        let beside = || {
            let test = env::current_exe().expect("a process knows its program");
            let folders = test.ancestors().skip(1).take(2);
            folders
                .map(|folder| folder.join("tasker"))
                .find(|file| file.is_file())
        };
        match named.or_else(beside) {
            Some(file) => Self(file),
            None => panic!("the tasker binary is not built: run `cargo build -p tasker-cli`"),
        }
    }

    /// Another program that is to run as the binary does.
    pub fn at(file: impl Into<PathBuf>) -> Self {
        Self(file.into())
    }

    /// Finds a program that cargo built from an example of the tested crate.
    ///
    /// Cargo builds examples in a test run of a whole crate; a test file that is run alone takes what
    /// an earlier build left there.
    pub fn example(name: &str) -> Self {
        let test = env::current_exe().expect("a process knows its program");
        let file = test
            .ancestors()
            .nth(2)
            .map(|folder| folder.join("examples").join(name));
        match file.filter(|file| file.is_file()) {
            Some(file) => Self(file),
            None => panic!("the example is not built: run `cargo build --example {name}`"),
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Starts the binary. It is killed when the returned value is dropped or this process ends.
    pub fn spawn(&self, args: &[&str], env: &[(&str, &str)]) -> TaskerProcess {
        let dir = new_folder();
        let output = new_file(dir.path(), OUTPUT);
        let errors = output.try_clone().expect("a file can be shared");
        self.start(args, env, dir, output, errors)
    }

    /// Runs a command of the binary to its end. One that does not end is killed and fails the test.
    pub async fn run(&self, args: &[&str], env: &[(&str, &str)]) -> Output {
        let dir = new_folder();
        let output = new_file(dir.path(), OUTPUT);
        let errors = new_file(dir.path(), ERRORS);
        let mut process = self.start(args, env, dir, output, errors);
        let status = process.wait(LONGEST_COMMAND).await;
        Output {
            status,
            stdout: process.read(OUTPUT),
            stderr: process.read(ERRORS),
        }
    }

    fn start(
        &self,
        args: &[&str],
        env: &[(&str, &str)],
        dir: TempDir,
        output: File,
        errors: File,
    ) -> TaskerProcess {
        let mut command = self.command(args, env, dir.path());
        command.stdout(output).stderr(errors);
        TaskerProcess {
            child: spawn_bound(command, DeathSignal::Kill).expect("the tasker binary runs"),
            name: args.join(" "),
            dir,
        }
    }

    /// The environment is that of the test without what would configure Tasker.
    fn command(&self, args: &[&str], env: &[(&str, &str)], dir: &Path) -> Command {
        let mut command = Command::new(&self.0);
        command.args(args).current_dir(dir).stdin(Stdio::null());
        for (name, _) in env::vars_os().filter(|(name, _)| is_foreign(name)) {
            command.env_remove(name);
        }
        // A `tasker dev` of the developer, or of another test, is not to be found.
        command
            .env("TASKER_ENV", "test")
            .env("XDG_RUNTIME_DIR", dir.join("no-runtime-folder"))
            .envs(env.iter().copied());
        command
    }
}

fn new_folder() -> TempDir {
    let dir = tempfile::Builder::new().prefix("tasker-process-").tempdir();
    dir.expect("the temporary folder is writable")
}

fn new_file(dir: &Path, name: &str) -> File {
    File::create(dir.join(name)).expect("a new folder is writable")
}

fn is_foreign(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let configures = name.starts_with("TASKER_") && !SET_FOR_ALL.contains(&&*name);
    configures || name.starts_with("PG") || FOREIGN_VARIABLES.contains(&&*name)
}

/// A running process of the binary. When a test fails, the end of its output is shown.
#[derive(Debug)]
pub struct TaskerProcess {
    child: Child,
    name: String,
    dir: TempDir,
}

impl TaskerProcess {
    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All that the process has printed so far.
    pub fn output(&self) -> String {
        let both = [self.read(OUTPUT), self.read(ERRORS)].concat();
        String::from_utf8_lossy(&both).into_owned()
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.dir.path().join(name)).unwrap_or_default()
    }

    /// Waits for a complete line that contains `part` and returns it.
    ///
    /// Fails at once when the process ends without it.
    pub async fn wait_for_line(&mut self, part: &str, deadline: Duration) -> String {
        let what = format!("`tasker {}` prints {part:?}", self.name);
        let line = wait_for(&what, deadline, async || {
            // In this order: a process that has ended prints no more.
            let ended = self.exited();
            let output = self.output();
            let complete = output
                .split_inclusive('\n')
                .filter(|line| line.ends_with('\n'));
            let found = complete.map(str::trim_end).find(|line| line.contains(part));
            found.map(|line| Ok(line.to_owned())).or(ended.map(Err))
        });
        line.await
            .unwrap_or_else(|status| panic!("not {what}: it ended with {status}"))
    }

    /// How the process ended, if it did.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be looked at")
    }

    /// Waits for the process to end by itself.
    pub async fn wait(&mut self, deadline: Duration) -> ExitStatus {
        let what = format!("`tasker {}` ends", self.name);
        wait_for(&what, deadline, async || self.exited()).await
    }

    /// Asks the process to end (SIGTERM) and waits for it.
    pub async fn terminate(&mut self, deadline: Duration) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait(deadline).await
    }

    /// Kills the process (SIGKILL), as a crash or the kernel would.
    pub fn kill9(&mut self) {
        self.child
            .kill()
            .and_then(|()| self.child.wait())
            .expect("a child can be killed");
    }

    /// Stops the process in its tracks (SIGSTOP) until [`Self::unfreeze`].
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets a frozen process go on (SIGCONT).
    pub fn unfreeze(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process id is positive");
        kill(Pid::from_raw(pid), signal)
            .map_err(io::Error::from)
            .expect("the process runs");
    }
}

impl Drop for TaskerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let output = self.output();
            let lines: Vec<&str> = output.lines().collect();
            let end = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
            eprintln!(
                "--- the output of `tasker {}` ended with:\n{end}",
                self.name
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell() -> TaskerBinary {
        TaskerBinary("/bin/sh".into())
    }

    #[tokio::test]
    async fn a_line_is_found_when_it_is_complete() {
        let mut process = shell().spawn(&["-c", "echo listening on 7; exec sleep 600"], &[]);
        let line = process.wait_for_line("listening", WAIT_TIMEOUT).await;
        assert_eq!(line, "listening on 7");
        process.kill9();
        assert!(!process.exited().unwrap().success());
    }

    #[tokio::test]
    #[should_panic(expected = "it ended with exit status: 3")]
    async fn a_process_that_ends_without_the_line_is_not_waited_for() {
        let mut process = shell().spawn(&["-c", "exit 3"], &[]);
        process.wait_for_line("listening", WAIT_TIMEOUT).await;
    }

    #[tokio::test]
    async fn a_process_may_end_in_its_own_way_when_asked_to() {
        let script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done";
        let mut process = shell().spawn(&["-c", script], &[]);
        process.wait_for_line("ready", WAIT_TIMEOUT).await;
        assert_eq!(process.terminate(WAIT_TIMEOUT).await.code(), Some(7));
    }

    #[tokio::test]
    async fn a_command_gets_the_given_environment_and_its_output_comes_back() {
        let output = shell()
            .run(&["-c", "echo $TASKER_ENV $ASKED"], &[("ASKED", "for")])
            .await;
        assert_eq!(String::from_utf8_lossy(&output.stdout), "test for\n");
    }
}
