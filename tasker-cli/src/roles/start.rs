//! What every role does before it works: logs, a port, a database with the right schema.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tasker_shared::config::{DeploymentMode, TaskerConfig};
use tasker_shared::database::Database;
use tasker_shared::process;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

/// How long a role waits for a database that does not answer at start, as happens when a whole
/// system is started at once.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(30);
/// The port of the API that texts propose.
const DEFAULT_PORT: u16 = 8080;

/// Sets up what the whole process has once. To be called within its runtime.
pub(crate) fn process(config: &TaskerConfig, role: &str) -> Result<(), Failure> {
    Ok(process::set_up(config, role)?)
}

/// The address that a text names.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let port = text.strip_prefix(':').unwrap_or(text).parse::<u16>();
    if let Ok(port) = port {
        return Err(format!(
            "expected ADDR:PORT: 127.0.0.1:{port} is reached from this machine alone, \
             0.0.0.0:{port} from others too"
        ));
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        let address = SocketAddr::new(address, DEFAULT_PORT);
        return Err(format!("expected ADDR:PORT, as in {address}"));
    }
    let port = text
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse().ok());
    let address = SocketAddr::from(([127, 0, 0, 1], port.unwrap_or(DEFAULT_PORT)));
    Err(format!(
        "expected ADDR:PORT with the number of an address, as in {address}"
    ))
}

/// Takes the address for the API, before anything else is started.
pub(crate) fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    let bound = std::net::TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    });
    bound.map_err(|error| {
        let other = SocketAddr::new(address.ip(), address.port().checked_add(1).unwrap_or(8081));
        let (what, hint) = match error.kind() {
            io::ErrorKind::AddrInUse => (
                format!("the address {address} is in use: another program listens there"),
                format!(
                    "stop that program (`ss -ltnp 'sport = :{}'` names it), or choose another \
                     address: --bind {other}",
                    address.port()
                ),
            ),
            io::ErrorKind::PermissionDenied => (
                format!("the address {address} may not be used by this account"),
                "choose a port above 1023, as in --bind 127.0.0.1:8080".to_owned(),
            ),
            io::ErrorKind::AddrNotAvailable => (
                format!("this machine has no address {}", address.ip()),
                format!("try --bind 127.0.0.1:{}", address.port()),
            ),
            _ => (
                format!("could not listen on {address}: {error}"),
                "choose another address with --bind".to_owned(),
            ),
        };
        Failure::new(what).hint(hint)
    })
}

/// The database, which may come up some time after this process, with the schema of this build.
///
/// Gives `None` when the process is told to stop before that.
pub(crate) async fn database(
    config: &TaskerConfig,
    mode: DeploymentMode,
    stop: &CancellationToken,
) -> Result<Option<Database>, Failure> {
    Ok(process::database(config, mode, DATABASE_TIMEOUT, stop).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_an_address_is_answered_with_a_whole_one() {
        assert!(address("127.0.0.1:0").is_ok());
        assert!(address("[::1]:8080").is_ok());
        for (text, expected) in [
            ("9000", "127.0.0.1:9000 is reached from this machine alone"),
            (":9000", "0.0.0.0:9000 from others too"),
            ("0.0.0.0", "as in 0.0.0.0:8080"),
            ("::1", "as in [::1]:8080"),
            ("localhost:9000", "as in 127.0.0.1:9000"),
            ("here", "as in 127.0.0.1:8080"),
            ("", "as in 127.0.0.1:8080"),
            ("127.0.0.1:99999", "as in 127.0.0.1:8080"),
        ] {
            let refused = address(text).unwrap_err();
            assert!(refused.contains(expected), "{text}: {refused}");
        }
    }
}
