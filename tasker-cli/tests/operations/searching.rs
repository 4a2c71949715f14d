//! `--where`: tasks found by values in their contexts.

use serde_json::json;
use tasker_testing::TestDatabase;

use crate::common::{LINEAR, apply, submit, tasker_on};

async fn with_orders() -> TestDatabase {
    let db = TestDatabase::create().await;
    let template = LINEAR.replace("steps:", "search: [order_id, customer.email]\nsteps:");
    apply(db.url(), &template).await;
    for order_id in 41..44 {
        let context = json!({"order_id": order_id, "customer": {"email": "bob@mail.test"}});
        submit(db.url(), "shop/linear", &context.to_string()).await;
    }
    db
}

async fn count(db: &TestDatabase, filter: &[&str]) -> usize {
    let args = [&["task", "list", "--json"], filter].concat();
    let listed = tasker_on(db.url(), &args).await.ok().json();
    listed["tasks"].as_array().unwrap().len()
}

#[tokio::test]
async fn tasks_are_listed_by_conditions() {
    let db = with_orders().await;
    for (filter, expected) in [
        (&["--where", "order_id=42"][..], 1),
        (
            &[
                "--where",
                "order_id=42",
                "--since",
                "2h",
                "--failed-step",
                "first",
            ],
            0,
        ),
        (
            &["--where", "order_id>=42", "--where", "customer.email^=bob@"],
            2,
        ),
        (&["--where=order_id<0"], 0),
    ] {
        assert_eq!(count(&db, filter).await, expected, "{filter:?}");
    }
    let wrong = tasker_on(db.url(), &["task", "list", "--where", "order_id"]).await;
    wrong.refused(2, &["`order_id` is no condition", "PATH^=BEGINNING"]);
    let unknown = tasker_on(db.url(), &["task", "list", "--where", "orderid=1"]).await;
    unknown.refused(
        1,
        &[
            "no search path orderid",
            "did you mean `order_id`?",
            "customer.email",
        ],
    );
}

#[tokio::test]
async fn tasks_that_meet_conditions_are_counted_and_cancelled() {
    let db = with_orders().await;
    let cancel = [
        "task",
        "cancel",
        "--state",
        "pending",
        "--where",
        "order_id>41",
    ];
    let counted = tasker_on(db.url(), &[&cancel[..], &["--dry-run"]].concat()).await;
    assert_eq!(counted.ok().stdout, "2 tasks would be cancelled\n");
    tasker_on(db.url(), &[&cancel[..], &["--yes"]].concat())
        .await
        .ok();
    assert_eq!(count(&db, &["--state", "cancelled"]).await, 2);
    for action in ["retry", "resolve"] {
        let args = ["task", action, "--where", "order_id=41", "--dry-run"];
        let counted = tasker_on(db.url(), &args).await.ok();
        assert!(
            counted.stdout.starts_with("0 tasks would be"),
            "{counted:#?}"
        );
    }
}

#[tokio::test]
async fn a_template_shows_its_search_paths() {
    let db = with_orders().await;
    let shown = tasker_on(db.url(), &["template", "show", "shop/linear"]).await;
    let shown = shown.ok();
    assert!(shown.stdout.contains("\"search\": ["), "{shown:#?}");
    assert!(shown.stdout.contains("\"customer.email\""), "{shown:#?}");
}
