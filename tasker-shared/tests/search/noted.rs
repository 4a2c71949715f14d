//! What is noted of a context, and what conditions say of it.

use serde_json::{Value, json};
use tasker_shared::ids::TaskUuid;
use tasker_shared::tasks;

use crate::support::{SINGLE, World, new_task};
use crate::{apply, by, find, found, searched_by, submit};

async fn values(world: &mut World) -> Vec<(String, String)> {
    let values = "select p.path, v.value from tasker.search_values v
        join tasker.search_paths p using (path_id) order by v.task_uuid, p.path, v.value";
    sqlx::query_as(values)
        .fetch_all(&mut world.connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn texts_numbers_and_booleans_are_noted_and_nothing_else() {
    let mut world = searched_by(&["a", "b.c", "d"]).await;
    let context = json!({"a": "x", "b": {"c": 4.50, "d": 1}, "d": true});
    submit(&mut world, context).await;
    for context in [
        json!({}),
        json!({"a": null, "b": "c", "d": {}}),
        json!({"a": {"a": 1}, "b": {"c": [[1], {"c": 1}, null]}}),
    ] {
        submit(&mut world, context).await;
    }
    let noted = values(&mut world).await;
    let noted: Vec<_> = noted
        .iter()
        .map(|(path, value)| (&**path, &**value))
        .collect();
    assert_eq!(noted, [("a", "x"), ("b.c", "4.5"), ("d", "true")]);
}

#[tokio::test]
async fn a_list_is_found_by_each_of_its_first_elements() {
    let mut world = searched_by(&["tags"]).await;
    let tags: Vec<Value> = (0..40).map(|number| json!(number % 35)).collect();
    let many = submit(&mut world, json!({ "tags": tags })).await;
    let twice = submit(&mut world, json!({"tags": ["x", "x", null, 31, [7], true]})).await;

    assert_eq!(
        found(&mut world, &["tags=31"]).await,
        sorted(&[twice, many])
    );
    assert!(found(&mut world, &["tags=32"]).await.is_empty());
    assert_eq!(found(&mut world, &["tags=7"]).await, [many]);
    assert_eq!(found(&mut world, &["tags=x", "tags=true"]).await, [twice]);
    // Several values of each meet it.
    assert_eq!(
        found(&mut world, &["tags>=0"]).await,
        sorted(&[twice, many])
    );
}

#[tokio::test]
async fn each_operator_compares_as_it_says() {
    let mut world = searched_by(&["v"]).await;
    let mut submitted = Vec::new();
    for value in [
        json!(9),
        json!("9"),
        json!(10),
        json!(-1.5),
        json!("b"),
        json!("b_"),
        json!("ba"),
    ] {
        submitted.push(submit(&mut world, json!({ "v": value })).await);
    }
    let [nine, text_nine, ten, negative, b, b_line, ba] = submitted[..] else {
        unreachable!()
    };
    for (condition, expected) in [
        ("v=9", &[text_nine, nine][..]),
        ("v=9.0", &[]),
        ("v=B", &[]),
        ("v^=b", &[ba, b_line, b]),
        ("v^=b_", &[b_line]),
        ("v^=%", &[]),
        ("v^=1", &[ten]),
        ("v<9.5", &[negative, text_nine, nine]),
        ("v<9", &[negative]),
        ("v<=9", &[negative, text_nine, nine]),
        ("v>9", &[ten]),
        ("v>=9e0", &[ten, text_nine, nine]),
        ("v>b", &[ba, b_line]),
        ("v>=b", &[ba, b_line, b]),
        ("v<b", &[negative, ten, text_nine, nine]),
        ("v<=b_", &[b_line, b, negative, ten, text_nine, nine]),
    ] {
        let expected = sorted(expected);
        assert_eq!(
            found(&mut world, &[condition]).await,
            expected,
            "{condition}"
        );
    }
    assert_eq!(found(&mut world, &["v>b", "v<b`"]).await, [b_line]);
}

fn sorted(tasks: &[TaskUuid]) -> Vec<TaskUuid> {
    let mut tasks = tasks.to_vec();
    tasks.sort_unstable_by(|a, b| b.cmp(a));
    tasks
}

#[tokio::test]
async fn times_of_rfc_3339_are_found_by_range() {
    let mut world = searched_by(&["paid_at"]).await;
    let may = submit(&mut world, json!({"paid_at": "2030-05-31T23:59:59Z"})).await;
    let june = submit(&mut world, json!({"paid_at": "2030-06-01T00:00:00Z"})).await;
    assert_eq!(found(&mut world, &["paid_at<2030-06"]).await, [may]);
    assert_eq!(found(&mut world, &["paid_at>=2030-06-01"]).await, [june]);
    let between = &["paid_at>2030-05", "paid_at<2030-07"];
    assert_eq!(found(&mut world, between).await, sorted(&[june, may]));
}

#[tokio::test]
async fn long_values_are_found_by_their_first_256_characters() {
    let mut world = searched_by(&["v"]).await;
    let begin = "ü'\\%".repeat(64);
    let long = submit(&mut world, json!({"v": format!("{begin}end")})).await;
    let digits = format!("1{}", "0".repeat(300));
    let number: Value = serde_json::from_str("1e300").unwrap();
    submit(&mut world, json!({ "v": digits })).await;
    submit(&mut world, json!({ "v": number })).await;

    for condition in [
        format!("v={begin}end"),
        format!("v={begin}another"),
        format!("v^={begin}end"),
        "v^=ü'\\%ü".to_owned(),
    ] {
        assert_eq!(
            found(&mut world, &[&condition]).await,
            [long],
            "{condition}"
        );
    }
    // More digits than are kept are no number.
    assert!(found(&mut world, &["v>0"]).await.is_empty());
}

#[tokio::test]
async fn tasks_of_one_batch_are_noted_by_their_own_templates() {
    let mut world = searched_by(&["order_id"]).await;
    apply(&mut world, "refund", "1.0.0", &["order_id", "reason"]).await;
    world.template("plain", SINGLE).await;
    let context = json!({"order_id": 1, "reason": "broken"});
    let batch = ["order", "plain", "refund"].map(|name| {
        let mut task = new_task(name);
        task.context = context.clone();
        task
    });
    let submitted = tasks::submit_tasks(&mut world.connection, &batch)
        .await
        .unwrap();
    let [order, plain, refund] = [0, 1, 2].map(|at: usize| submitted[at].task_uuid);

    assert_eq!(
        found(&mut world, &["order_id=1"]).await,
        sorted(&[order, refund])
    );
    assert_eq!(found(&mut world, &["reason=broken"]).await, [refund]);
    let mut of_refund = by(&["order_id=1"]);
    of_refund.name = Some("refund".to_owned());
    assert_eq!(find(&mut world, &of_refund).await.unwrap(), [refund]);
    let noted: bool = world
        .value(format!(
            "select exists (select from tasker.search_values where task_uuid = '{plain}')"
        ))
        .await;
    assert!(!noted);
}

#[tokio::test]
async fn a_key_that_is_known_notes_nothing_again() {
    let mut world = searched_by(&["v"]).await;
    for value in [1, 2] {
        world
            .submit_with("order", |task| {
                task.idempotency_key = Some("k".to_owned());
                task.context = json!({ "v": value });
            })
            .await;
    }
    assert_eq!(values(&mut world).await, [("v".to_owned(), "1".to_owned())]);
}

#[tokio::test]
async fn each_version_notes_its_own_paths_and_all_are_found_together() {
    let mut world = searched_by(&["old", "both"]).await;
    let context = || json!({"old": 1, "both": 2, "new": 3});
    let first = submit(&mut world, context()).await;
    apply(&mut world, "order", "2.0.0", &["new", "both"]).await;
    let second = submit(&mut world, context()).await;

    assert_eq!(
        found(&mut world, &["both=2"]).await,
        sorted(&[second, first])
    );
    assert_eq!(found(&mut world, &["old=1"]).await, [first]);
    assert_eq!(found(&mut world, &["new=3"]).await, [second]);
    assert!(found(&mut world, &["new=3", "old=1"]).await.is_empty());
}

#[tokio::test]
async fn values_leave_with_their_tasks() {
    let mut world = searched_by(&["v"]).await;
    let left = submit(&mut world, json!({"v": ["a", "b"]})).await;
    world.run_all().await;
    let waits = submit(&mut world, json!({"v": "a"})).await;
    world
        .execute(
            "select tasker.prune_tasks('{\"complete_days\": 0}', '00000000-0000-0000-0000-000000000000',
               'ffffffff-ffff-ffff-ffff-ffffffffffff', 100, 'none')",
        )
        .await;
    assert_eq!(found(&mut world, &["v=a"]).await, sorted(&[waits, left]));
    world.advance(std::time::Duration::from_hours(48)).await;
    world
        .execute(
            "select tasker.prune_tasks('{\"complete_days\": 1}', '00000000-0000-0000-0000-000000000000',
               'ffffffff-ffff-ffff-ffff-ffffffffffff', 100, 'none')",
        )
        .await;
    assert_eq!(found(&mut world, &["v=a"]).await, [waits]);
    assert_eq!(values(&mut world).await.len(), 1);
}
