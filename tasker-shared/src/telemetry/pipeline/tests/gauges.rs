//! Gauges of what the database holds, as they are scraped.

use sqlx::types::{Json, Uuid};

use super::*;
use crate::gauges::{Backlog, DatabaseGauges, SilentProcess};

/// A database with something of everything.
pub(super) fn some() -> DatabaseGauges {
    let shop = Backlog {
        namespace: "shop".to_owned(),
        ready_steps: 7,
        oldest_ready_seconds: 1.5,
        queue_depth: Some(9),
        waiting_steps: Some(6),
        oldest_waiting_seconds: Some(2.5),
        overdue_claims: 1,
        overdue_retries: 2,
        overdue_leases: Some(3),
    };
    let unreadable = Backlog {
        namespace: "depot".to_owned(),
        queue_depth: None,
        waiting_steps: None,
        oldest_waiting_seconds: None,
        overdue_leases: None,
        ..shop.clone()
    };
    let silent = SilentProcess {
        registration_uuid: Uuid::nil(),
        role: "worker".to_owned(),
    };
    DatabaseGauges {
        backlogs: Json(vec![unreadable, shop]),
        live_orchestrators: 2,
        live_workers: 4,
        silent: Json(vec![silent]),
        notification_queue_usage: 0.25,
        held_back_seconds: 12.5,
        held_back_transactions: 600,
    }
}

/// The series of these gauges, in the order of their names.
fn shown(pipeline: &Pipeline) -> Vec<String> {
    let text = pipeline.render();
    let lines = text.lines();
    let series = lines.filter(|line| line.starts_with("tasker_"));
    // Counters without labels are there from the start, and so are levels once they changed.
    let gauges = series.filter(|line| !line.contains("_total"));
    gauges.map(str::to_owned).collect()
}

#[test]
fn gauges_show_what_is_known_of_each_namespace_and_of_all() {
    let pipeline = pipeline();
    pipeline.metrics.database_gauges(some());

    assert_eq!(
        shown(&pipeline),
        [
            r#"tasker_live_processes{role="orchestrator"} 2"#,
            r#"tasker_live_processes{role="worker"} 4"#,
            r#"tasker_oldest_ready_step_seconds{namespace="depot"} 1.5"#,
            r#"tasker_oldest_ready_step_seconds{namespace="shop"} 1.5"#,
            r#"tasker_oldest_waiting_step_seconds{namespace="shop"} 2.5"#,
            r#"tasker_overdue_steps{namespace="depot",reason="claim"} 1"#,
            r#"tasker_overdue_steps{namespace="depot",reason="retry"} 2"#,
            r#"tasker_overdue_steps{namespace="shop",reason="claim"} 1"#,
            r#"tasker_overdue_steps{namespace="shop",reason="lease"} 3"#,
            r#"tasker_overdue_steps{namespace="shop",reason="retry"} 2"#,
            "tasker_pg_notification_queue_usage_ratio 0.25",
            r#"tasker_queue_depth{namespace="shop"} 9"#,
            r#"tasker_queue_waiting_steps{namespace="shop"} 6"#,
            r#"tasker_ready_steps{namespace="depot"} 7"#,
            r#"tasker_ready_steps{namespace="shop"} 7"#,
            r#"tasker_silent_processes{role="orchestrator"} 0"#,
            r#"tasker_silent_processes{role="worker"} 1"#,
            "tasker_vacuum_held_back_seconds 12.5",
            "tasker_vacuum_held_back_transactions 600",
        ]
    );
}

/// What was seen before an outage would keep alerts firing, or silent, for as long as it lasts.
#[tokio::test(start_paused = true)]
async fn gauges_show_nothing_that_was_seen_more_than_a_minute_ago() {
    let pipeline = pipeline();
    pipeline.metrics.database_gauges(some());
    pipeline
        .metrics
        .steps_without_worker(&[without_worker("late.one", 3)]);
    let all = shown(&pipeline);
    assert!(all.len() > 15, "{all:#?}");

    tokio::time::advance(Duration::from_secs(59)).await;
    assert_eq!(shown(&pipeline), all);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(shown(&pipeline), [""; 0]);

    pipeline.metrics.database_gauges(DatabaseGauges::default());
    assert!(!shown(&pipeline).is_empty(), "it is seen again");
}
