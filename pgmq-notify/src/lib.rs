//! PGMQ calls and a LISTEN loop that knows when it missed something.
