//! `tasker health`: whether a process works, for those that watch it from outside of it, such as the
//! health check of a container.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tasker_shared::config::{TaskerConfig, host_name};
use tasker_shared::processes::{ProcessSummary, list_processes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::failure::Failure;
use crate::output::Output;
use crate::setup::Setup;

/// Longest wait for an answer: longer than the process waits for its database.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(4);
/// Most bytes of an answer that are read.
const MOST_BYTES: u64 = 1 << 20;

const EXAMPLES: &str = "\
Exit status 1 when the process is not ready or does not answer. A worker answers where it was
started with --bind. One that was not is known to the database: --registered asks whether a process
of this INSTANCE_ID, or without one of this host or container, has reported there within 30 s.

Examples:
  tasker health
  tasker health --url http://127.0.0.1:8081
  tasker health --registered";

/// Arguments of `tasker health`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Address of the process; that of web.bind on this machine when left out
    #[arg(long, value_name = "URL", value_parser = host_and_port)]
    url: Option<String>,

    /// Ask the database whether the process reports there, instead of the process itself
    #[arg(long, conflicts_with = "url")]
    registered: bool,
}

/// What `/health/ready` answers.
#[derive(Debug, Deserialize)]
struct Readiness {
    checks: Vec<Check>,
}

#[derive(Debug, Deserialize)]
struct Check {
    name: String,
    healthy: bool,
    detail: Option<String>,
}

/// Says whether the process works; fails where it does not.
pub(crate) async fn run(args: Args, setup: &Setup) -> Result<(), Failure> {
    let config = setup.config()?;
    let output = setup.output();
    if args.registered {
        return find_registered(&config, setup, output).await;
    }
    let address = args.url.unwrap_or_else(|| bound_address(&config));
    let unreachable = |reason: String| {
        Failure::new(format!("http://{address}/health/ready {reason}"))
            .hint("a worker answers where it was started with --bind; see --registered")
    };
    let answer = timeout(ANSWER_TIMEOUT, get(&address, "/health/ready")).await;
    let answer = answer
        .map_err(|_| unreachable("does not answer in time".to_owned()))?
        .map_err(|error| unreachable(format!("does not answer: {error}")))?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let readiness: Readiness = serde_json::from_str(body)
        .map_err(|_| unreachable("answers with something else".to_owned()))?;
    let failing = failing(&readiness);
    output.document(&json!({ "ready": failing.is_empty(), "failing": failing }))?;
    if failing.is_empty() {
        return output.text("ready");
    }
    Err(Failure::new(format!("not ready: {}", failing.join("; "))))
}

/// The checks that fail, each with what is wrong.
fn failing(readiness: &Readiness) -> Vec<String> {
    let failing = readiness.checks.iter().filter(|check| !check.healthy);
    let text = |check: &Check| match &check.detail {
        Some(detail) => format!("{} ({detail})", check.name),
        None => check.name.clone(),
    };
    failing.map(text).collect()
}

/// Where the API of this configuration is reached from this machine.
fn bound_address(config: &TaskerConfig) -> String {
    let mut address = config.web.bind;
    if address.ip().is_unspecified() {
        let loopback = if address.is_ipv4() {
            [127, 0, 0, 1].into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        };
        address.set_ip(loopback);
    }
    address.to_string()
}

/// The host and port of a URL.
fn host_and_port(url: &str) -> Result<String, String> {
    let rest = url
        .strip_prefix("http://")
        .map(|rest| rest.trim_end_matches('/'));
    match rest {
        Some(rest) if rest.contains(':') && !rest.contains('/') => Ok(rest.to_owned()),
        _ => Err("expected http://HOST:PORT, as in http://127.0.0.1:8080".to_owned()),
    }
}

/// The whole answer to a request without a body; probes are served without encryption.
async fn get(address: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(MOST_BYTES).read_to_string(&mut answer).await?;
    Ok(answer)
}

async fn find_registered(
    config: &TaskerConfig,
    setup: &Setup,
    output: Output,
) -> Result<(), Failure> {
    let database = setup.database().await?;
    let processes = database
        .call("list_processes", async |connection| {
            list_processes(connection).await
        })
        .await?;
    let (what, name) = sought(config);
    let is_ours = |process: &&ProcessSummary| match what {
        "name" => process.identity == name,
        _ => process.host == name,
    };
    let ours: Vec<_> = processes.iter().filter(is_ours).collect();
    let live = ours.iter().any(|process| !process.silent);
    output.document(&json!({ "ready": live, "processes": ours }))?;
    if live {
        return output.text("registered");
    }
    Err(Failure::new(format!(
        "no process of the {what} {name} has reported to the database within 30 s"
    ))
    .hint("`tasker processes` lists those that have"))
}

/// By what a process is known to the database: its name where it was given one, else its host.
fn sought(config: &TaskerConfig) -> (&'static str, String) {
    let given = [
        &config.worker.instance_id,
        &config.orchestration.instance_id,
    ];
    match given.into_iter().find(|name| !name.is_empty()) {
        Some(name) => ("name", name.clone()),
        None => ("host", host_name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_on_all_addresses_is_asked_on_this_machine() {
        let mut config = TaskerConfig::default();
        for (bind, asked) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:81", "[::1]:81"),
            ("10.0.0.7:8080", "10.0.0.7:8080"),
        ] {
            config.web.bind = bind.parse().expect("an address");
            assert_eq!(bound_address(&config), asked);
        }
    }

    #[test]
    fn a_url_names_host_and_port() {
        assert_eq!(host_and_port("http://api:8080/"), Ok("api:8080".to_owned()));
        for url in [
            "api:8080",
            "http://api",
            "https://api:443",
            "http://api:80/x",
        ] {
            assert!(host_and_port(url).is_err(), "{url}");
        }
    }
}
