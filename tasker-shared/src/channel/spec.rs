//! What a channel is called and what it holds.

/// What a channel is called and how much it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelSpec {
    /// The channel's name in metrics and logs.
    pub name: &'static str,
    /// The part of the product that receives from it.
    pub component: &'static str,
    /// Most messages that wait in it, from configuration. 0 counts as 1.
    pub capacity: usize,
}

/// Both bounds of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) messages: usize,
    /// `usize::MAX` where messages have no weight.
    pub(super) bytes: usize,
}

impl Bounds {
    pub(super) fn of_count(spec: ChannelSpec) -> Self {
        Self {
            messages: spec.capacity.max(1),
            bytes: usize::MAX,
        }
    }

    pub(super) fn with_bytes(self, bytes: usize) -> Self {
        Self {
            bytes: bytes.max(1),
            ..self
        }
    }

    /// The byte bound, where there is one.
    pub(super) fn max_bytes(self) -> Option<usize> {
        (self.bytes != usize::MAX).then_some(self.bytes)
    }
}
