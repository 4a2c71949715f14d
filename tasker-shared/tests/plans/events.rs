//! What it costs to follow the logs of transitions.

use tasker_shared::events::EventLog;

use crate::Planned::Once;
use crate::{Meter, fill};

const WIDTH: usize = 1000;

/// Rows that a look at the end of one log reads at most: what one range of its index covers, and
/// the pages behind the last of them.
const END: i64 = 20_000;

#[tokio::test]
async fn whoever_follows_the_logs_reads_their_ends_only() {
    let mut meter = Meter::new().await;
    fill(&mut meter.world).await;
    let mut reader = meter.world.db.connect().await;
    let mut log = EventLog::open(&mut reader, WIDTH).await.unwrap();
    meter.world.submit("pair").await;
    meter.world.run_all().await;
    assert_eq!(log.next(&mut reader).await.unwrap().events.len(), 9);
    log.summarize(&mut reader).await.unwrap();

    for _ in 0..8 {
        meter.world.submit("pair").await;
        meter.world.run_all().await;
        let news = meter
            .call("events", Once, END, async |connection| {
                log.next(connection).await.unwrap()
            })
            .await;
        assert_eq!(news.events.len(), 9, "{:?}", news.events);
    }

    meter.assert_frugal();
}
