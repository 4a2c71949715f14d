//! What every role does before it works: logs, a port, a database with the right schema.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tasker_shared::config::{DeploymentMode, TaskerConfig};
use tasker_shared::database::Database;
use tasker_shared::process;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

/// How long a role waits for a database that does not answer at start, as happens when a whole
/// system is started at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sets up what the whole process has once. To be called within its runtime.
pub(crate) fn process(config: &TaskerConfig, role: &str) -> Result<(), Failure> {
    Ok(process::set_up(config, role)?)
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
    Ok(process::database(config, mode, PATIENCE, stop).await?)
}
