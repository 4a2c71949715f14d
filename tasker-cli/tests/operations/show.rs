//! `tasker task show` and `tasker step show`.

use tasker_testing::TestDatabase;

use crate::common::{LINEAR, apply, submit, tasker_on, tasker_with};

#[tokio::test]
async fn a_task_is_shown_with_what_goes_in_and_what_comes_out() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let note = "x".repeat(200);
    let context = format!("{{\"order_id\": 1, \"note\": \"{note}\"}}");
    let task = submit(db.url(), "shop/linear", &context).await;
    let args = ["step", "resolve", &task, "first", "--result", "[1]"];
    tasker_on(db.url(), &args).await.ok();

    let columns = [("COLUMNS", "80"), ("LANG", "C.UTF-8")];
    let shown = tasker_with(db.url(), &["task", "show", &task], &columns).await;
    let shown = shown.ok().stdout;
    for line in [
        "(task)  context  {\"note\":\"xxx",
        "first   result   [1]\n",
        "second  input    {\"answer\":42}\n",
    ] {
        assert!(shown.contains(line), "{shown}");
    }
    let folded = shown.lines().filter(|line| line.contains("context"));
    assert_eq!(folded.map(|line| line.chars().count()).max(), Some(80));

    let whole = tasker_on(db.url(), &["task", "show", &task, "--full"]).await;
    assert!(whole.ok().stdout.contains(&note));
}

#[tokio::test]
async fn a_task_whose_results_are_left_out_says_how_to_read_them() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let task = submit(db.url(), "shop/linear", r#"{"order_id": 1}"#).await;
    for step in ["first", "second"] {
        let large = "select tasker.settle_step($1::uuid, $2, 'skipped', \
                     to_jsonb(repeat('x', 17000000)), 'me')";
        sqlx::query(large)
            .bind(&task)
            .bind(step)
            .execute(&db.pool())
            .await
            .unwrap();
    }

    let shown = tasker_on(db.url(), &["task", "show", &task]).await.ok();
    let remark = format!(
        "results are left out: 34 MB; read one with `tasker step show {task} STEP` or GET \
         /v1/tasks/{task}/steps/{{name}}\n"
    );
    assert!(shown.stdout.contains(&remark), "{}", shown.stdout);
    let args = ["task", "show", &task, "--json"];
    let shown = tasker_on(db.url(), &args).await.ok().json();
    assert_eq!(shown["results_omitted"], true);
    assert!(shown["steps"][0]["result_bytes"].as_i64() > Some(17_000_000));

    let args = ["step", "show", &task, "second", "--json"];
    let step = tasker_on(db.url(), &args).await.ok().json();
    assert_eq!(step["result"].as_str().map(str::len), Some(17_000_000));
    let step = tasker_on(db.url(), &["step", "show", &task, "second"])
        .await
        .ok();
    assert!(
        step.stdout
            .starts_with("second: skipped, 0 of 3 attempts of builtin.echo\nresult (17 MB):\n"),
        "{}",
        &step.stdout[..100]
    );
    let args = ["step", "show", &task, "third"];
    tasker_on(db.url(), &args)
        .await
        .refused(1, &["no step named third", "its steps are first, second"]);
}
