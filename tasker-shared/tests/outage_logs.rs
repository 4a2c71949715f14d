//! What an outage says in the log. A file of its own, because what is logged belongs to the process.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::future::ready;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tasker_shared::error::Error;
use tasker_shared::outage::Outage;
use tokio_util::sync::CancellationToken;

#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Logged {
    /// What was logged since the last time.
    fn take(&self) -> Vec<String> {
        let text = String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

fn gone(message: &str) -> Error {
    Error::Unavailable {
        message: message.to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_a_line_for_each_cause_and_one_for_its_end_however_often_it_is_tried() {
    let logged = Logged::default();
    let writer = logged.clone();
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();
    let (mut outage, stop) = (Outage::new("loop", "look"), CancellationToken::new());
    let mut looks = 0;
    let look = || {
        looks += 1;
        if looks > 100 {
            stop.cancel();
        }
        ready(match looks {
            100.. => Ok(Duration::ZERO),
            _ => Err(gone("away")),
        })
    };

    outage.look_after(Duration::ZERO, look, &stop).await;

    let lines = logged.take();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(
        lines[0].contains("could not look; trying again until it works"),
        "{lines:#?}"
    );
    assert!(
        lines[1].contains("could look again failures=99"),
        "{lines:#?}"
    );

    // What changes with each attempt does not fill the log.
    for cause in 0..100 {
        outage.failed(&gone(&cause.to_string()));
        outage.failed(&gone(&cause.to_string()));
    }
    assert_eq!(logged.take().len(), 8);
}
