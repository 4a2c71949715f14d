//! What is announced, on which channels, and how large it gets.
#![allow(missing_docs, clippy::unwrap_used)]

mod announcer;
mod payloads;
mod sizes;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::postgres::PgListener;
use tasker_testing::WAIT_TIMEOUT;
use tokio::time::timeout;

use crate::support::World;

const READY: &str = "tasker_task_ready";
const READY_OF_TEST: &str = "tasker_task_ready.test";
const STATE: &str = "tasker_task_state";
const STATE_OF_TEST: &str = "tasker_task_state.test";

/// The longest a namespace may be called.
fn longest(first: char) -> String {
    format!("{first}{}", "x".repeat(28))
}

async fn listen(world: &World) -> PgListener {
    let mut listener = PgListener::connect(world.db.url()).await.unwrap();
    let long = ["y", "z"].map(|first| format!("{READY}.{}", longest(first.parse().unwrap())));
    let channels = [
        READY,
        READY_OF_TEST,
        STATE,
        STATE_OF_TEST,
        &long[0],
        &long[1],
        "end",
    ];
    listener.listen_all(channels).await.unwrap();
    listener
}

/// All notifications so far, by channel, each small enough.
async fn heard(world: &mut World, listener: &mut PgListener) -> BTreeMap<String, Vec<Value>> {
    world.execute("select pg_notify('end', '')").await;
    let mut heard = BTreeMap::<_, Vec<_>>::new();
    loop {
        let next = timeout(WAIT_TIMEOUT, listener.recv())
            .await
            .unwrap()
            .unwrap();
        if next.channel() == "end" {
            return heard;
        }
        assert!(next.payload().len() < 8000);
        let payload = serde_json::from_str(next.payload()).unwrap();
        heard
            .entry(next.channel().to_owned())
            .or_default()
            .push(payload);
    }
}

fn only(heard: &BTreeMap<String, Vec<Value>>, channel: &str) -> Value {
    match heard.get(channel).map(Vec::as_slice) {
        Some([payload]) => payload.clone(),
        other => panic!("{channel}: {other:?}"),
    }
}
