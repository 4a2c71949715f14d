//! Why a message was not sent. It always comes back.

use std::fmt;

/// The receiver is gone; the message comes back.
#[derive(thiserror::Error)]
#[error("the channel is closed")]
pub struct Closed<T>(pub T);

/// Why a message was not sent; it comes back.
#[derive(thiserror::Error)]
pub enum NotSent<T> {
    /// There was no room, and `try_send` does not wait.
    #[error("the channel is full")]
    Full(T),
    /// The receiver is gone.
    #[error("the channel is closed")]
    Closed(T),
    /// No room came free in the time of `send_timeout`.
    #[error("the channel stayed full until the time to wait was over")]
    TimedOut(T),
    /// No attempt of `send_retry` found room.
    #[error("the channel was full at every attempt")]
    RetriesExceeded(T),
}

impl<T> NotSent<T> {
    /// The message that was not sent.
    pub fn into_message(self) -> T {
        match self {
            Self::Full(message)
            | Self::Closed(message)
            | Self::TimedOut(message)
            | Self::RetriesExceeded(message) => message,
        }
    }
}

impl<T> From<Closed<T>> for NotSent<T> {
    fn from(Closed(message): Closed<T>) -> Self {
        Self::Closed(message)
    }
}

// By hand, because messages need not be printable for their errors to be.
impl<T> fmt::Debug for Closed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Closed(..)")
    }
}

impl<T> fmt::Debug for NotSent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Closed(_) => "Closed(..)",
            Self::TimedOut(_) => "TimedOut(..)",
            Self::RetriesExceeded(_) => "RetriesExceeded(..)",
        })
    }
}
