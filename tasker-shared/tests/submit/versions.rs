//! Versions of templates: which is taken, and that none ever changes.

use serde_json::{Value, json};
use tasker_shared::error::{Refusal, RefusalKind};
use tasker_shared::tasks;
use tasker_shared::template::Template;
use tasker_shared::templates;

use crate::support::World;
use crate::versioned;

#[tokio::test]
async fn the_highest_version_is_the_one_with_the_highest_numbers() {
    let mut world = World::new().await;
    for version in ["1.9.0", "1.10.0", "0.99.99", "1.2.30"] {
        world.apply(versioned(version, "h")).await;
    }

    let highest = world.submit("t").await;
    let named = world
        .submit_with("t", |task| task.version = Some("1.9.0".to_owned()))
        .await;

    assert_eq!(world.task(highest).await.summary.version, "1.10.0");
    assert_eq!(world.task(named).await.summary.version, "1.9.0");
}

#[tokio::test]
async fn a_template_is_listed_in_its_highest_version() {
    let mut world = World::new().await;
    for version in ["1.9.0", "1.10.0", "0.99.99"] {
        world.apply(versioned(version, "h")).await;
    }

    let newest = templates::newest_templates(&mut world.connection, None, 10)
        .await
        .unwrap();
    let newest: Vec<_> = newest
        .iter()
        .map(|one| (one.summary.version.as_str(), one.versions))
        .collect();
    assert_eq!(newest, [("1.10.0", 3)]);

    let highest = templates::template_versions(&mut world.connection, "test", "t", 2)
        .await
        .unwrap();
    let highest: Vec<_> = highest.iter().map(|one| one.version.as_str()).collect();
    assert_eq!(highest, ["1.10.0", "1.9.0"]);
}

#[tokio::test]
async fn the_same_version_is_applied_once_however_it_is_written() {
    let mut world = World::new().await;
    let document = versioned("1.0.0", "h");
    assert!(apply(&mut world, &document).await.unwrap());
    let again = "{\n \"version\": \"1.0.0\",  \"steps\": [{\"handler\":\"h\",\"name\":\"only\", \
        \"depends_on\": [], \"input\": {}}], \"name\": \"t\", \"namespace\": \"test\"}";
    let again = Template::parse_json(again).unwrap();

    let applied = templates::apply_template(&mut world.connection, &again)
        .await
        .unwrap();

    assert!(!applied.created);
    let versions: i64 = world.value("select count(*) from tasker.templates").await;
    assert_eq!(versions, 1);
}

#[tokio::test]
async fn a_version_with_another_body_is_refused_and_stays_as_it_is() {
    let mut world = World::new().await;
    apply(&mut world, &versioned("1.0.0", "h")).await.unwrap();
    let mut described = versioned("1.0.0", "h");
    described["description"] = json!("another");

    for other in [versioned("1.0.0", "other"), described] {
        let refused = apply(&mut world, &other).await.unwrap_err();
        assert_eq!(refused.kind, RefusalKind::Conflict);
        assert_eq!(
            refused.message,
            "version 1.0.0 of template test/t exists with another body"
        );
        assert!(refused.hint.unwrap().contains("raise the version"));
    }
    let shown = templates::show_template(&mut world.connection, "test", "t", None)
        .await
        .unwrap();
    assert_eq!(shown.body["steps"][0]["handler"], "h");
}

#[tokio::test]
async fn a_running_task_keeps_its_version_when_a_new_one_is_applied() {
    let mut world = World::new().await;
    world.apply(versioned("1.0.0", "old")).await;
    world.submit("t").await;
    world.apply(versioned("1.1.0", "new")).await;

    assert_eq!(world.start_one().await.handler, "old");
}

#[tokio::test]
async fn a_key_holds_for_all_versions_of_its_template() {
    let mut world = World::new().await;
    world.apply(versioned("1.0.0", "h")).await;
    let key = |task: &mut tasks::NewTask| task.idempotency_key = Some("k".to_owned());
    let first = world.submit_with("t", key).await;
    world.apply(versioned("2.0.0", "h")).await;

    assert_eq!(world.submit_with("t", key).await, first);
    assert_eq!(world.task(first).await.summary.version, "1.0.0");
}

async fn apply(world: &mut World, document: &Value) -> Result<bool, Refusal> {
    let template = Template::parse_json(&document.to_string()).unwrap();
    match templates::apply_template(&mut world.connection, &template).await {
        Ok(applied) => Ok(applied.created),
        Err(error) => Err(error.refusal().unwrap().clone()),
    }
}
