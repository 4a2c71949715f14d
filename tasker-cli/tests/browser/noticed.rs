//! What a browser notices that nobody sees on the page.

use std::collections::BTreeSet;

use serde_json::Value;

/// Faults and requests, gathered from the browser's events.
#[derive(Default)]
pub(crate) struct Noticed {
    /// Errors and warnings of the console, what the content policy stopped, uncaught exceptions, dialogs.
    pub(crate) faults: Vec<String>,
    /// Servers that were asked for anything.
    pub(crate) servers: BTreeSet<String>,
}

impl Noticed {
    pub(crate) fn add(&mut self, event: &Value) {
        let params = &event["params"];
        let fault = match event["method"].as_str().unwrap_or_default() {
            "Runtime.exceptionThrown" => Some(&params["exceptionDetails"]),
            "Runtime.consoleAPICalled" if is_bad(&params["type"]) => Some(&params["args"]),
            "Log.entryAdded" if is_bad(&params["entry"]["level"]) => Some(&params["entry"]),
            "Page.javascriptDialogOpening" => Some(params),
            "Network.requestWillBeSent" => {
                let url = params["request"]["url"].as_str().unwrap_or_default();
                self.servers.insert(server(url));
                None
            }
            _ => None,
        };
        self.faults.extend(fault.map(Value::to_string));
    }
}

fn is_bad(level: &Value) -> bool {
    matches!(level.as_str(), Some("error" | "warning" | "assert"))
}

/// Scheme, host and port.
fn server(url: &str) -> String {
    url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/")
}
