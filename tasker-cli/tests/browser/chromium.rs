//! Debian's Chromium as a child process, spoken to in its own protocol (CDP) over its standard input and
//! output. It ends with this process: its input is then closed.
//!
//! Messages are JSON with a zero byte behind each. A command has a number, and its answer the same; what
//! has none is an event. A dozen commands are enough here; a library with all of them is minutes of
//! compiling, and a driver beside the browser is one more program to install. <https://chromedevtools.github.io/devtools-protocol/> has all of them.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use private_postgres::{DeathSignal, spawn_bound};
use serde_json::{Value, json};
use tasker_testing::WAIT_TIMEOUT;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::time::timeout;

/// The protocol is spoken on descriptors 3 and 4, which a command cannot be given otherwise.
const ON_STANDARD_DESCRIPTORS: &str = "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null";

const ARGUMENTS: [&str; 12] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--lang=en-US",
    "--remote-debugging-pipe",
];

/// A deadline for one command, which only a browser that hangs misses.
const LONGEST_COMMAND: Duration = WAIT_TIMEOUT;

/// A running browser, and the one page of it that a test uses.
pub(crate) struct Chromium {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    commands: u64,
    session: Option<String>,
    events: Vec<Value>,
    _profile: TempDir,
}

impl Chromium {
    /// Starts it with an empty page.
    pub(crate) async fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command
            .args(["-c", ON_STANDARD_DESCRIPTORS, "chromium"])
            .args(ARGUMENTS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = spawn_bound(command, DeathSignal::Kill).unwrap();
        let input = ChildStdin::from_std(child.stdin.take().unwrap()).unwrap();
        let output = ChildStdout::from_std(child.stdout.take().unwrap()).unwrap();
        let mut chromium = Self {
            child,
            input,
            output: BufReader::new(output),
            commands: 0,
            session: None,
            events: Vec::new(),
            _profile: profile,
        };
        chromium.attach().await;
        chromium
    }

    /// From here on commands go to the page.
    async fn attach(&mut self) {
        let targets = self.call("Target.getTargets", json!({})).await.unwrap();
        let targets = targets["targetInfos"].as_array().unwrap();
        let page = targets.iter().find(|target| target["type"] == "page");
        let page = json!({"targetId": page.unwrap()["targetId"], "flatten": true});
        let attached = self.call("Target.attachToTarget", page).await.unwrap();
        self.session = attached["sessionId"].as_str().map(str::to_owned);
    }

    /// Carries out a command; an error is what the browser says against it.
    pub(crate) async fn call(&mut self, method: &str, params: Value) -> Result<Value, String> {
        let number = self.send(method, params).await;
        let answered = timeout(LONGEST_COMMAND, async {
            loop {
                let message = self.receive().await;
                if message["id"] == number {
                    return message;
                }
                if message["method"] == "Page.javascriptDialogOpening" {
                    // Nothing else is answered before.
                    self.send("Page.handleJavaScriptDialog", json!({"accept": false}))
                        .await;
                }
                if message["method"].is_string() {
                    self.events.push(message);
                }
            }
        });
        let answer = answered
            .await
            .unwrap_or_else(|_| panic!("the browser does not answer {method}"));
        match answer.get("error") {
            None => Ok(answer["result"].clone()),
            Some(error) => Err(format!("{method}: {error}")),
        }
    }

    /// What happened since this was asked last.
    pub(crate) fn take_events(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.events)
    }

    async fn send(&mut self, method: &str, params: Value) -> u64 {
        self.commands += 1;
        let mut command = json!({"id": self.commands, "method": method, "params": params});
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        let mut bytes = command.to_string().into_bytes();
        bytes.push(0);
        self.input
            .write_all(&bytes)
            .await
            .expect("the browser runs");
        self.commands
    }

    async fn receive(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.output.read_until(0, &mut bytes).await.unwrap();
        assert!(
            bytes.pop() == Some(0),
            "the browser ended: `make test-browser` installs what it needs"
        );
        serde_json::from_slice(&bytes).unwrap()
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        if let Ok(group) = i32::try_from(self.child.id()) {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        let _ = self.child.wait();
    }
}
