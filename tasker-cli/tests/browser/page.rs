//! A page in a browser, used as a person does: by what is written on it.

use std::collections::BTreeSet;
use std::time::Instant;

use serde_json::{Value, json};
use tasker_testing::{WAIT_TIMEOUT, wait_for};

use crate::chromium::Chromium;
use crate::noticed::Noticed;
use crate::stack::Stack;
use crate::window::WIDE;

/// The page of one browser.
pub(crate) struct Page {
    browser: Chromium,
    noticed: Noticed,
    /// Where paths begin.
    server: String,
}

impl Page {
    /// A wide page in light colours; nothing is opened yet.
    pub(crate) async fn of(stack: &Stack) -> Self {
        let mut page = Self {
            browser: Chromium::start().await,
            noticed: Noticed::default(),
            server: stack.api.clone(),
        };
        for part in ["Page", "Runtime", "Log", "Network"] {
            page.command(&format!("{part}.enable"), json!({})).await;
        }
        page.resize(WIDE).await;
        page.prefer("light").await;
        page
    }

    /// Says that nothing went wrong that a person would not have seen: the console is empty, and no
    /// other server than this one was asked.
    #[track_caller]
    pub(crate) fn expect_nothing_noticed(&mut self) {
        self.notice();
        assert_eq!(self.noticed.faults, [""; 0], "the browser noticed faults");
        let servers: BTreeSet<_> = [self.server.clone()].into();
        assert!(
            self.noticed.servers.is_subset(&servers),
            "servers that were asked: {:?}",
            self.noticed.servers
        );
    }

    /// What went wrong so far, which is forgotten.
    pub(crate) fn take_faults(&mut self) -> Vec<String> {
        self.notice();
        std::mem::take(&mut self.noticed.faults)
    }

    fn notice(&mut self) {
        for event in self.browser.take_events() {
            self.noticed.add(&event);
        }
    }

    /// Opens an address of the server, or of another.
    pub(crate) async fn open(&mut self, address: &str) {
        let url = if address.starts_with('/') {
            format!("{}{address}", self.server)
        } else {
            address.to_owned()
        };
        let answer = self.command("Page.navigate", json!({ "url": url })).await;
        assert!(answer.get("errorText").is_none(), "{url}: {answer}");
        self.wait("the page is there", "document.readyState === 'complete'")
            .await;
    }

    /// The path and query of the page.
    pub(crate) async fn address(&mut self) -> String {
        let address = self.evaluate("location.pathname + location.search").await;
        address.as_str().unwrap().to_owned()
    }

    /// Waits until the address begins so.
    pub(crate) async fn wait_for_address(&mut self, start: &str) {
        let is_there = format!(
            "document.readyState === 'complete' && \
             (location.pathname + location.search).startsWith({})",
            json!(start)
        );
        self.wait(&format!("the address is {start}"), &is_there)
            .await;
    }

    /// What can be read on the page.
    pub(crate) async fn text(&mut self) -> String {
        let text = self.evaluate("document.body.innerText").await;
        text.as_str().unwrap_or_default().to_owned()
    }

    pub(crate) async fn wait_for_text(&mut self, text: &str) {
        let is_there = format!(
            "document.body.innerText.toLowerCase().includes({})",
            json!(text.to_lowercase())
        );
        self.wait(&format!("the page says {text:?}"), &is_there)
            .await;
    }

    pub(crate) async fn wait_for_no_text(&mut self, text: &str) {
        let is_gone = format!(
            "!document.body.innerText.toLowerCase().includes({})",
            json!(text.to_lowercase())
        );
        self.wait(&format!("the page does not say {text:?}"), &is_gone)
            .await;
    }

    /// Waits until the first state that the page shows, which is that of its subject, is this one.
    pub(crate) async fn wait_for_state(&mut self, state: &str) {
        let is_shown = format!(
            "document.querySelector('main .state')?.innerText.includes({})",
            json!(state)
        );
        self.wait(&format!("the state is {state}"), &is_shown).await;
    }

    /// Waits until this is so; a failure shows what the page says instead.
    pub(crate) async fn wait(&mut self, what: &str, condition: &str) -> Value {
        let end = Instant::now() + WAIT_TIMEOUT;
        let found = wait_for(what, WAIT_TIMEOUT * 2, async || {
            match self.try_evaluate(condition).await {
                Ok(Value::Bool(false) | Value::Null) | Err(_) if Instant::now() < end => None,
                Ok(value) if !matches!(value, Value::Bool(false) | Value::Null) => Some(Ok(value)),
                last => Some(Err(last)),
            }
        })
        .await;
        match found {
            Ok(value) => value,
            Err(last) => {
                let (address, text) = (self.address().await, self.text().await);
                let text: String = text.chars().take(3000).collect();
                let faults = self.take_faults();
                panic!("not {what} ({last:?}), but {address}:\n{text}\nfaults: {faults:?}");
            }
        }
    }

    /// The value of an expression, or of its promise.
    pub(crate) async fn evaluate(&mut self, expression: &str) -> Value {
        self.try_evaluate(expression)
            .await
            .unwrap_or_else(|error| panic!("{error}"))
    }

    async fn try_evaluate(&mut self, expression: &str) -> Result<Value, String> {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.browser.call("Runtime.evaluate", params).await?;
        match answer.get("exceptionDetails") {
            None => Ok(answer["result"]["value"].clone()),
            Some(details) => Err(details.to_string()),
        }
    }

    pub(crate) async fn command(&mut self, method: &str, params: Value) -> Value {
        let answer = self.browser.call(method, params).await;
        answer.unwrap_or_else(|error| panic!("{error}"))
    }
}
