//! Clients that do not wait for their turn.

use serde_json::json;
use tasker_testing::{WAIT_TIMEOUT, wait_until};

use super::{count, order, submit_behind, submit_first};
use crate::support::{Api, TEMPLATE};

#[tokio::test]
async fn a_request_whose_client_went_away_before_its_turn_submits_nothing() {
    let api = Api::configured(|config| config.web.max_concurrent_requests = 2).await;
    api.apply(TEMPLATE).await;
    let held = api.hold().await;
    let first = submit_first(&api).await;
    let mut gone = submit_behind(&api, &[order(&json!({}))]).await;
    api.get("/v1/queues")
        .await
        .problem(503, "too-many-requests");

    gone.pop().unwrap().abort();
    wait_until("the server has noticed", WAIT_TIMEOUT, async || {
        api.get("/v1/queues").await.status == 200
    })
    .await;
    held.rollback().await.unwrap();

    first.await.unwrap().expect(201);
    // What follows is submitted after what would have been.
    api.submit().await;
    assert_eq!(count(&api, "select count(*) from tasker.tasks").await, 2);
}
