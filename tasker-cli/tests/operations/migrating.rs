//! `tasker migrate`, and what is said where it was not run.

use serde_json::json;
use tasker_testing::TestDatabase;

use crate::common::{LINEAR, apply, tasker_on, tasker_with};

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[tokio::test]
async fn migrating_twice_and_at_the_same_time_is_safe() {
    let db = TestDatabase::empty().await;
    let migrate = || tasker_on(db.url(), &["migrate", "--json"]);
    let (first, second) = tokio::join!(migrate(), migrate());
    first.ok();
    second.ok();
    let third = migrate().await.ok();
    assert_eq!(third.json()["changed"], false);
    let doctor = tasker_on(db.url(), &["doctor", "--json"]).await.ok();
    assert_eq!(doctor.json()["healthy"], true);
}

#[tokio::test]
async fn migrating_tells_which_queues_it_made_logged_or_unlogged() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let migrate = async |unlogged: &str, args: &[&str]| {
        let set = [("TASKER__DATABASE__UNLOGGED_QUEUES", unlogged)];
        let args = [&["migrate"], args].concat();
        tasker_with(db.url(), &args, &set).await.ok()
    };

    let unlogged = migrate("true", &[]).await;
    let again = migrate("true", &["--json"]).await.json();
    let logged = migrate("false", &["--json"]).await.json();
    let at_last = migrate("false", &[]).await;

    let up_to_date = format!("the schema was up to date: that of tasker {VERSION}\n");
    assert_eq!(
        unlogged.stdout,
        format!("{up_to_date}1 queue is unlogged now, as new ones will be\n")
    );
    assert_eq!(
        again,
        json!({ "changed": false, "schema_version": VERSION, "unlogged_queues": true, "queues_switched": 0 })
    );
    assert_eq!(
        logged,
        json!({ "changed": true, "schema_version": VERSION, "unlogged_queues": false, "queues_switched": 1 })
    );
    assert_eq!(at_last.stdout, up_to_date);
}

#[tokio::test]
async fn commands_and_roles_on_an_empty_database_say_to_migrate() {
    let db = TestDatabase::empty().await;
    for args in [
        &["task", "list"][..],
        &["doctor"],
        &["orchestrator", "--bind", "127.0.0.1:0"],
        &["worker"],
    ] {
        tasker_on(db.url(), args)
            .await
            .refused(1, &["tasker migrate"]);
    }
}
