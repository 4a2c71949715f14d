//! A proxy in front of PostgreSQL that breaks connections in the ways a network does.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const BUFFER: usize = 16 * 1024;

/// What happens to the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// They pass.
    Pass,
    /// They vanish in both directions and nobody is told.
    Blackhole,
    /// The server hears the client, the client does not hear the server.
    SwallowAnswers,
    /// There are no connections: open ones were reset, new ones are closed at once.
    Cut,
}

#[derive(Clone, Copy, Debug)]
struct State {
    mode: Mode,
    /// Connections of an older generation are reset.
    generation: u64,
    delay: Duration,
}

/// A TCP address that leads to the server of a database URL until told otherwise.
///
/// It lives in the runtime of the test and ends when this value is dropped.
#[derive(Debug)]
pub struct FaultProxy {
    url: String,
    state: watch::Sender<State>,
    accepting: JoinHandle<()>,
}

impl FaultProxy {
    /// Opens a proxy to the server that the URL names, by unix socket or TCP.
    pub async fn to(url: &str) -> Self {
        let upstream = Upstream::of(url);
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("loopback has a free port");
        let port = listener
            .local_addr()
            .expect("a bound socket has an address")
            .port();
        let (state, watcher) = watch::channel(State {
            mode: Mode::Pass,
            generation: 0,
            delay: Duration::ZERO,
        });
        let accepting = tokio::spawn(accept(listener, upstream, watcher));
        Self {
            url: redirected(url, port),
            state,
            accepting,
        }
    }

    /// The URL that leads to the same database through the proxy.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Lets everything pass again. Connections that were in a black hole stay dead.
    pub fn resume(&self) {
        self.set(Mode::Pass);
    }

    /// Resets all connections and lets in no new ones until [`Self::resume`].
    pub fn cut(&self) {
        self.state.send_modify(|state| state.generation += 1);
        self.set(Mode::Cut);
    }

    /// Resets all connections; new ones pass.
    pub fn reset(&self) {
        self.state.send_modify(|state| state.generation += 1);
    }

    /// Swallows every byte in silence, as a network does that lost its way.
    ///
    /// Connections that are open, and those opened until [`Self::resume`], never hear anything
    /// again, not even an end: only a timeout of the client can tell.
    pub fn blackhole(&self) {
        self.set(Mode::Blackhole);
    }

    /// Lets requests reach the server and swallows its answers: a commit whose outcome is unknown.
    pub fn swallow_answers(&self) {
        self.set(Mode::SwallowAnswers);
    }

    /// Holds every packet back for this long, in each direction.
    pub fn delay(&self, delay: Duration) {
        self.state.send_modify(|state| state.delay = delay);
    }

    fn set(&self, mode: Mode) {
        self.state.send_modify(|state| state.mode = mode);
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

#[derive(Clone, Debug)]
enum Upstream {
    Unix(PathBuf),
    Tcp(String, u16),
}

impl Upstream {
    fn of(url: &str) -> Self {
        let options: PgConnectOptions = url.parse().expect("a database URL");
        match options.get_socket() {
            Some(folder) => Self::Unix(folder.join(format!(".s.PGSQL.{}", options.get_port()))),
            None => Self::Tcp(options.get_host().to_owned(), options.get_port()),
        }
    }
}

/// The URL with its user, password and database, and the address of the proxy.
fn redirected(url: &str, port: u16) -> String {
    let (_, rest) = url.split_once("://").expect("a database URL");
    let rest = rest.split('?').next().unwrap_or_default();
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let user = authority
        .rsplit_once('@')
        .map(|(user, _)| format!("{user}@"))
        .unwrap_or_default();
    format!("postgres://{user}127.0.0.1:{port}/{database}?sslmode=disable")
}

async fn accept(listener: TcpListener, upstream: Upstream, state: watch::Receiver<State>) {
    // The connections end with this task, and so with the proxy.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        // A reset instead of a polite end is what a cut cable looks like afterwards.
        let _ = client.set_zero_linger();
        let _ = client.set_nodelay(true);
        connections.spawn(serve(client, upstream.clone(), state.clone()));
    }
}

async fn serve(client: TcpStream, upstream: Upstream, mut state: watch::Receiver<State>) {
    let State {
        mode, generation, ..
    } = *state.borrow_and_update();
    if mode == Mode::Cut {
        return;
    }
    let relayed = async {
        match upstream {
            Upstream::Unix(path) => relay(client, UnixStream::connect(path).await?, &state).await,
            Upstream::Tcp(host, port) => {
                let server = TcpStream::connect((host.as_str(), port)).await?;
                server.set_nodelay(true)?;
                relay(client, server, &state).await
            }
        }
    };
    let mut cut = state.clone();
    tokio::select! {
        _ = relayed => {}
        _ = cut.wait_for(|state| state.generation > generation) => {}
    }
}

async fn relay(
    client: TcpStream,
    server: impl AsyncRead + AsyncWrite,
    state: &watch::Receiver<State>,
) -> io::Result<()> {
    let (client_reads, client_writes) = tokio::io::split(client);
    let (server_reads, server_writes) = tokio::io::split(server);
    let requests = [Mode::Blackhole].as_slice();
    let answers = [Mode::Blackhole, Mode::SwallowAnswers].as_slice();
    tokio::try_join!(
        copy(client_reads, server_writes, state.clone(), requests),
        copy(server_reads, client_writes, state.clone(), answers),
    )?;
    Ok(())
}

/// Copies bytes until one side ends, or for ever if the state once was one of `deadly`.
async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut state: watch::Receiver<State>,
    deadly: &[Mode],
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    let is_deadly = |state: &State| deadly.contains(&state.mode);
    let mut died = state.clone();
    let alive = async {
        loop {
            let count = from.read(&mut buffer).await?;
            if is_deadly(&state.borrow()) {
                return std::future::pending().await;
            }
            let delay = state.borrow_and_update().delay;
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            if count == 0 {
                return to.shutdown().await;
            }
            to.write_all(&buffer[..count]).await?;
        }
    };
    tokio::select! {
        biased;
        _ = died.wait_for(is_deadly) => {}
        done = alive => return done,
    }
    // What still comes is read and thrown away, so that the sender notices nothing.
    loop {
        match from.read(&mut buffer).await {
            Ok(0) | Err(_) => std::future::pending().await,
            Ok(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::redirected;

    #[test]
    fn a_url_keeps_user_password_and_database_on_its_way_through_the_proxy() {
        for (url, through) in [
            (
                "postgres://me@localhost:5432/db?host=/tmp/x",
                "postgres://me@127.0.0.1:9/db",
            ),
            (
                "postgres://me:p%40ss@server/db",
                "postgres://me:p%40ss@127.0.0.1:9/db",
            ),
            ("postgresql://server:6432/db", "postgres://127.0.0.1:9/db"),
        ] {
            assert_eq!(redirected(url, 9), format!("{through}?sslmode=disable"));
        }
    }
}
