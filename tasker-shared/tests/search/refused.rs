//! What cannot be searched by.

use serde_json::json;
use tasker_shared::error::RefusalKind;
use tasker_shared::tasks::TaskFilter;

use crate::support::World;
use crate::{apply, by, find, searched_by};

async fn refusal(world: &mut World, filter: &TaskFilter) -> String {
    let refused = find(world, filter).await.unwrap_err();
    let refusal = refused.refusal().unwrap();
    assert_eq!(refusal.kind, RefusalKind::InvalidInput);
    refusal.to_string()
}

#[tokio::test]
async fn a_path_that_no_template_names_is_refused_with_those_that_there_are() {
    let mut world = searched_by(&["order_id", "customer.email"]).await;
    apply(&mut world, "refund", "1.0.0", &["reason"]).await;

    let refused = refusal(&mut world, &by(&["orderid=1"])).await;
    assert!(
        refused.contains("there is no search path orderid"),
        "{refused}"
    );
    assert!(refused.contains("did you mean `order_id`?"), "{refused}");
    for path in ["customer.email", "reason"] {
        assert!(refused.contains(path), "{refused}");
    }
    let mut of_order = by(&["reason=1"]);
    of_order.name = Some("order".to_owned());
    let refused = refusal(&mut world, &of_order).await;
    assert!(refused.contains("in templates */order"), "{refused}");
    assert!(
        refused.contains("paths are order_id, customer.email"),
        "{refused}"
    );
}

#[tokio::test]
async fn without_any_search_paths_the_refusal_says_how_templates_name_them() {
    let mut world = World::new().await;
    let refused = refusal(&mut world, &by(&["order_id=1"])).await;
    assert!(refused.contains("search: [order_id]"), "{refused}");
}

#[tokio::test]
async fn more_than_eight_conditions_are_refused() {
    let mut world = searched_by(&["v"]).await;
    assert!(find(&mut world, &by(&["v=1"; 8])).await.unwrap().is_empty());
    let refused = refusal(&mut world, &by(&["v=1"; 9])).await;
    assert!(refused.contains("at most 8"), "{refused}");
}

#[tokio::test]
async fn conditions_that_sql_cannot_read_are_refused() {
    let mut world = searched_by(&["v"]).await;
    for (filter, says) in [
        (json!({"where": ["v"]}), "is no condition"),
        (json!({"where": ["v!=1"]}), "is no condition"),
        (json!({"where": "v=1"}), "filter.where is no list of texts"),
        (json!({"where": [1]}), "filter.where is no list of texts"),
        (json!({"where": ["w=1"]}), "there is no search path w"),
    ] {
        let refused = sqlx::query("select tasker.start_bulk_act('retry', $1, 'me')")
            .bind(&filter)
            .execute(&mut world.connection)
            .await
            .unwrap_err();
        assert!(refused.to_string().contains(says), "{filter}: {refused}");
    }
}

#[tokio::test]
async fn a_template_stored_in_sql_names_paths_that_there_can_be() {
    let mut world = searched_by(&["v"]).await;
    for search in [
        json!("v"),
        json!([1]),
        json!(["a b"]),
        json!(["a..b"]),
        json!([""]),
        json!(vec!["x"; 17]),
    ] {
        let refused = sqlx::query(
            "select tasker.apply_template(body || jsonb_build_object('version', '9.0.0', 'search', $1))
             from tasker.templates",
        )
        .bind(&search)
        .execute(&mut world.connection)
        .await
        .unwrap_err();
        assert!(
            refused.to_string().contains("search: "),
            "{search}: {refused}"
        );
    }
}

#[tokio::test]
async fn a_version_with_other_paths_is_another_body() {
    let mut world = searched_by(&["v"]).await;
    let other = json!({
        "namespace": "test", "name": "order", "version": "1.0.0", "search": ["w"],
        "steps": [{ "name": "only", "handler": "h" }],
    });
    let other = tasker_shared::template::Template::parse_json(&other.to_string()).unwrap();
    let refused = tasker_shared::templates::apply_template(&mut world.connection, &other).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.refusal().unwrap().kind, RefusalKind::Conflict);
}
