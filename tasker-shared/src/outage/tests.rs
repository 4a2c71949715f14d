//! Outages on a paused clock.

use std::future::{pending, ready};
use std::io::{self, Write};

use tokio::time::advance;

use super::*;

fn gone(message: &str) -> Error {
    Error::Unavailable {
        message: message.to_owned(),
    }
}

/// What is logged, beginning with `could not` or `could`.
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

/// Has what is logged on this thread kept, for as long as the guard lives.
fn logged() -> (Logged, tracing::subscriber::DefaultGuard) {
    let logged = Logged::default();
    let writer = logged.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    (logged, tracing::subscriber::set_default(subscriber))
}

impl Logged {
    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_lasts_from_its_first_failure_to_the_next_success() {
    let outages = Outages::default();
    let mut outage = outages.outage("loop", "look");
    assert_eq!(outages.failing(), []);
    assert_eq!(outages.last_answer(), None);

    assert!(outage.failed(&gone("away")) <= FIRST_PAUSE);
    advance(Duration::from_secs(3)).await;
    assert!(outage.failed(&gone("password")) >= FIRST_PAUSE);
    let failing = Failing {
        name: "loop",
        doing: "look",
        lasts: Duration::from_secs(3),
    };
    assert_eq!(outages.failing(), [failing]);

    outage.over();
    advance(Duration::from_secs(1)).await;
    assert_eq!(outages.failing(), []);
    assert_eq!(outages.last_answer(), Some(Duration::from_secs(1)));
    assert!(outage.failed(&gone("away")) <= FIRST_PAUSE);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_one_line_and_its_end_another_however_often_it_is_tried() {
    let (logged, _guard) = logged();
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

    let lines = logged.lines();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(
        lines[0].contains("could not look; trying again until it works"),
        "{lines:#?}"
    );
    assert!(
        lines[1].contains("could look again failures=99"),
        "{lines:#?}"
    );
}

#[tokio::test]
async fn each_cause_is_told_once_and_no_more_than_so_many() {
    let (logged, _guard) = logged();
    let mut outage = Outage::new("loop", "look");
    for cause in 0..100 {
        for _ in 0..2 {
            outage.failed(&gone(&cause.to_string()));
        }
    }
    assert_eq!(logged.lines().len(), CAUSES_TOLD);
}

/// When a loop looks that fails each time.
async fn looks_of_one_that_fails() -> Vec<Duration> {
    let (mut outage, stop) = (Outage::new("loop", "look"), CancellationToken::new());
    let (began, mut looks) = (Instant::now(), Vec::new());
    let look = || {
        looks.push(began.elapsed());
        if looks.len() == 10 {
            stop.cancel();
        }
        ready(Err(gone("away")))
    };
    outage.look_after(Duration::ZERO, look, &stop).await;
    looks
}

#[tokio::test(start_paused = true)]
async fn two_loops_that_fail_together_do_not_try_again_in_step() {
    let (one, another) = tokio::join!(looks_of_one_that_fails(), looks_of_one_that_fails());

    assert_eq!((one.len(), another.len()), (10, 10));
    let in_step = one.iter().zip(&another).filter(|(a, b)| a == b).count();
    assert!(in_step <= 3, "{one:?} and {another:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_a_pause_and_a_look_at_once() {
    let (mut outage, stop) = (Outage::new("loop", "look"), CancellationToken::new());
    let began = Instant::now();
    let hour = Duration::from_hours(1);
    let pausing = outage.look_after(hour, || ready(Ok(hour)), &stop);
    let stopping = async {
        advance(Duration::from_secs(1)).await;
        stop.cancel();
    };
    tokio::join!(pausing, stopping);
    assert_eq!(began.elapsed(), Duration::from_secs(1));

    let stop = CancellationToken::new();
    let look = || {
        stop.cancel();
        pending()
    };
    outage.look_after(Duration::ZERO, look, &stop).await;
}

#[tokio::test]
async fn pauses_are_no_longer_than_they_may_be() {
    let longest = Duration::from_millis(10);
    let mut outage = Outage::new("loop", "look").pausing_at_most(longest);
    assert!((0..10).all(|_| outage.failed(&gone("away")) <= longest));
}
