//! Connections that the server can close though their client does not read.
//!
//! A server that stops lets every connection send what it has. One that carries a stream of events
//! may never get rid of it: a client that reads too slowly, or not at all, has more waiting than fits. Such
//! a connection is closed where it cannot send, once the server says that streams had their time.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tracing::debug;

/// Accepts connections whose streams end with a token.
pub(crate) struct Connections {
    listener: TcpListener,
    streams_end: CancellationToken,
}

/// A client's connection.
pub(crate) struct Connection {
    tcp: TcpStream,
    carries: Carries,
    streams_end: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// What a connection carries, as the request knows it that came on it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Carries {
    stream: Arc<AtomicBool>,
}

impl Connections {
    /// `streams_end` fires when a stream may not wait for its client any more.
    pub(crate) fn of(listener: TcpListener, streams_end: CancellationToken) -> Self {
        Self {
            listener,
            streams_end,
        }
    }
}

impl Listener for Connections {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (tcp, address) = Listener::accept(&mut self.listener).await;
        // Answers are small and written whole; Nagle's algorithm would only hold them back.
        if let Err(error) = tcp.set_nodelay(true) {
            debug!(%error, "could not set TCP_NODELAY");
        }
        let connection = Connection {
            tcp,
            carries: Carries::default(),
            streams_end: Box::pin(self.streams_end.clone().cancelled_owned()),
        };
        (connection, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Carries {
    /// Says that from here on the connection carries a stream, and nothing after it.
    pub(crate) fn a_stream(&self) {
        self.stream.store(true, Ordering::Relaxed);
    }
}

impl Connected<IncomingStream<'_, Connections>> for Carries {
    fn connect_info(incoming: IncomingStream<'_, Connections>) -> Self {
        incoming.io().carries.clone()
    }
}

impl Connection {
    /// What came of sending, or that the client had its time to take it.
    fn sent<T>(
        &mut self,
        context: &mut Context<'_>,
        sent: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if sent.is_ready() || !self.carries.stream.load(Ordering::Relaxed) {
            return sent;
        }
        ready!(self.streams_end.as_mut().poll(context));
        debug!("a client did not read its events to the end");
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.tcp).poll_write(context, bytes);
        self.sent(context, sent)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.tcp).poll_write_vectored(context, bytes);
        self.sent(context, sent)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}
