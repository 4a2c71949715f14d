//! `tasker template` applies, lists and shows templates.

use tasker_testing::TestDatabase;

use crate::common::{LINEAR, apply, file, tasker_on};

#[tokio::test]
async fn a_template_is_applied_once_and_its_version_never_changes() {
    let db = TestDatabase::create().await;
    let good = file(LINEAR, ".yaml");
    let args = ["template", "apply", good.path().to_str().unwrap(), "--json"];
    for created in [true, false] {
        let applied = tasker_on(db.url(), &args).await.ok().json();
        assert_eq!(applied["templates"][0]["created"], created);
    }
    let changed = file(&LINEAR.replace("42", "43"), ".yaml");
    let args = ["template", "apply", changed.path().to_str().unwrap()];
    let answer = tasker_on(db.url(), &args).await;
    answer.refused(1, &["shop/linear", "1.0.0", "hint:"]);
}

#[tokio::test]
async fn of_several_templates_all_or_none_are_applied() {
    let db = TestDatabase::create().await;
    let good = file(LINEAR, ".yaml");
    let bad = file("namespace: shop\n", ".yaml");
    let (good, bad) = (good.path().to_str().unwrap(), bad.path().to_str().unwrap());
    let answer = tasker_on(db.url(), &["template", "apply", good, bad]).await;
    answer.refused(1, &[bad, "nothing was applied"]);
    let listed = tasker_on(db.url(), &["template", "list", "--json"]).await;
    assert_eq!(listed.ok().json()["templates"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn a_stored_template_is_listed_and_what_is_shown_can_be_applied_again() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let listed = tasker_on(db.url(), &["template", "list"]).await.ok();
    assert!(listed.stdout.contains("shop/linear@1.0.0"), "{listed:#?}");
    let shown = tasker_on(db.url(), &["template", "show", "shop/linear"])
        .await
        .ok();
    let again = file(&shown.stdout, ".json");
    let args = ["template", "apply", again.path().to_str().unwrap()];
    let answer = tasker_on(db.url(), &args).await.ok();
    assert_eq!(answer.stdout, "unchanged shop/linear@1.0.0\n");
}
