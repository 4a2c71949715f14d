//! The pages of a task and of its steps, and what is done on them.

use serde_json::{Value, json};
use tasker_shared::steps::{StepError, StepOutcome};
use tasker_testing::{WAIT_TIMEOUT, wait_until};

use crate::support::{Answer, Api};

async fn post_form(api: &Api, path: &str, form: &str) -> Answer {
    let request = api.client.post(api.url(path)).body(form.to_owned());
    Answer::of(request.header("content-type", "application/x-www-form-urlencoded")).await
}

async fn page(api: &Api, path: &str) -> String {
    let answer = api.get(path).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(!answer.text.contains(" style="));
    answer.text
}

async fn state_of(api: &Api, uuid: &str) -> Value {
    api.get(&format!("/v1/tasks/{uuid}")).await.expect(200)
}

/// Posts an act and follows to the page that it leads to.
async fn act(api: &Api, path: &str, form: &str) -> String {
    let answer = post_form(api, path, form).await;
    // The client follows the redirection.
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text
}

#[tokio::test]
async fn a_task_that_runs_shows_its_steps_graph_and_what_can_be_done() {
    let api = Api::with_template().await;
    let uuid = api.submit().await;
    api.receive().await;
    let shown = page(&api, &format!("/ui/tasks/{uuid}")).await;

    for text in [
        &format!("/ui/live?task_uuid={uuid}"),
        "/ui/templates/shop/order/1.0.0",
        "2 steps in 2 layers",
        &format!("/ui/tasks/{uuid}/steps/ship"),
        "worker-of-the-test",
        "id=\"why\"",
        &format!("/ui/tasks/{uuid}/act/cancel"),
        &format!("/v1/tasks/{uuid}/history"),
        "order_id",
        "class=\"running\"",
    ] {
        assert!(shown.contains(text), "{text} is missing in {shown}");
    }
    assert!(
        !shown.contains("/act/retry") && !shown.contains("/act/resolve"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_failed_task_says_why_first_and_a_retry_lets_it_go_on() {
    let api = Api::with_template().await;
    let uuid = api.submit().await;
    api.fail().await;
    let path = format!("/ui/tasks/{uuid}");
    let shown = page(&api, &path).await;
    let why = shown.find("Why it failed").unwrap();
    assert!(why < shown.find("<svg").unwrap());
    assert!(shown.contains("card refused") && shown.contains("waits for it"));

    let form = page(&api, &format!("{path}/act/retry")).await;
    assert!(form.contains("method=\"post\"") && form.contains("name=\"reason\""));
    let shown = act(&api, &format!("{path}/act/retry"), "reason=again").await;
    assert_eq!(state_of(&api, &uuid).await["state"], "in_progress");
    assert!(
        shown.contains("operator:ui") && shown.contains("again"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_task_is_cancelled_and_resolved_with_a_reason() {
    let api = Api::with_template().await;
    let (cancelled, resolved) = (api.submit().await, api.submit().await);
    let path = format!("/ui/tasks/{cancelled}/act/cancel");
    let shown = act(&api, &path, "reason=ordered+twice").await;
    assert!(shown.contains("ordered twice"), "{shown}");
    assert_eq!(state_of(&api, &cancelled).await["state"], "cancelled");

    api.fail().await;
    act(
        &api,
        &format!("/ui/tasks/{resolved}/act/resolve"),
        "reason=",
    )
    .await;
    let task = state_of(&api, &resolved).await;
    assert_eq!(
        (&task["state"], &task["reason"]),
        (&json!("resolved_manually"), &Value::Null)
    );
}

#[tokio::test]
async fn what_the_state_does_not_allow_is_neither_offered_nor_done() {
    let api = Api::with_template().await;
    let uuid = api.submit().await;
    api.run_to_end().await;
    let shown = page(&api, &format!("/ui/tasks/{uuid}")).await;
    assert!(!shown.contains("/act/"), "{shown}");
    for act in ["retry", "cancel", "resolve"] {
        for path in ["", "/steps/charge"] {
            let path = format!("/ui/tasks/{uuid}{path}/act/{act}");
            let answer = post_form(&api, &path, "reason=").await;
            let is_refused = matches!(answer.status, 404 | 409);
            assert!(is_refused, "{path}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn an_act_from_another_site_is_refused() {
    let api = Api::with_template().await;
    let uuid = api.submit().await;
    let request = api
        .client
        .post(api.url(&format!("/ui/tasks/{uuid}/act/cancel")));
    let request = request
        .header("sec-fetch-site", "cross-site")
        .body("reason=");
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(Answer::of(request).await.status, 403);
    assert_eq!(state_of(&api, &uuid).await["state"], "pending");
}

#[tokio::test]
async fn a_step_shows_its_attempts_with_their_errors() {
    let api = Api::with_template().await;
    let uuid = api.submit().await;
    api.run(StepOutcome::Fail(StepError {
        kind: "handler_failed".to_owned(),
        message: "card <b>refused</b>".to_owned(),
        details: Some(json!({"class": "CardError", "backtrace": ["a.rb:1", "b.rb:2"]})),
    }))
    .await;
    let shown = page(&api, &format!("/ui/tasks/{uuid}/steps/charge")).await;
    for text in [
        "Attempt 1",
        "handler_failed: card &lt;b&gt;refused&lt;/b&gt;",
        "a.rb:1\nb.rb:2",
        "payments.charge",
        "worker-of-the-test",
        "/act/retry",
        "/act/skip",
        "Steps that depend on it",
        &format!("/ui/tasks/{uuid}/steps/ship"),
    ] {
        assert!(shown.contains(text), "{text} is missing in {shown}");
    }
    let ship = page(&api, &format!("/ui/tasks/{uuid}/steps/ship")).await;
    assert!(
        ship.contains("express") && ship.contains("Depends on"),
        "{ship}"
    );
    assert!(ship.contains("It has not been started."), "{ship}");
}

#[tokio::test]
async fn a_step_is_settled_with_a_result_and_its_dependents_see_it() {
    let api = Api::with_template().await;
    let uuid = api.submit().await;
    api.fail().await;
    let step = format!("/ui/tasks/{uuid}/steps/charge");
    let form = page(&api, &format!("{step}/act/resolve")).await;
    assert!(form.contains("name=\"result\""), "{form}");
    let typed = "reason=cash&result=%7B%22paid%22%3A+true%7D";
    let shown = act(&api, &format!("{step}/act/resolve"), typed).await;
    assert!(shown.contains("&quot;paid&quot;: true"), "{shown}");
    let ship = api.receive().await;
    assert_eq!(ship[0].dependency_results["charge"], json!({"paid": true}));
}

#[tokio::test]
async fn a_step_is_skipped_and_retried() {
    let api = Api::with_template().await;
    let (skipped, retried) = (api.submit().await, api.submit().await);
    api.fail().await;
    act(
        &api,
        &format!("/ui/tasks/{skipped}/steps/charge/act/skip"),
        "reason=gift",
    )
    .await;
    assert_eq!(
        state_of(&api, &skipped).await["steps"][0]["state"],
        "skipped"
    );
    act(
        &api,
        &format!("/ui/tasks/{retried}/steps/charge/act/retry"),
        "reason=",
    )
    .await;
    assert_eq!(
        state_of(&api, &retried).await["steps"][0]["state"],
        "pending"
    );
}

#[tokio::test]
async fn a_wrong_result_shows_the_form_again_with_what_was_typed() {
    let api = Api::with_template().await;
    let uuid = api.submit().await;
    let path = format!("/ui/tasks/{uuid}/steps/charge/act/skip");
    for (typed, says) in [
        ("reason=because&result=%7Bpaid", "this is not JSON"),
        (
            "reason=because&result=%22%5Cu0000%7Bpaid%22",
            "PostgreSQL cannot store",
        ),
    ] {
        let answer = post_form(&api, &path, typed).await;
        assert_eq!(answer.status, 422, "{answer:?}");
        assert!(
            answer.text.contains(says) && answer.text.contains("{paid"),
            "{}",
            answer.text
        );
        assert!(answer.text.contains("value=\"because\""), "{}", answer.text);
    }
    let long = format!("reason={}", "x".repeat(2001));
    assert_eq!(post_form(&api, &path, &long).await.status, 422);
    assert_eq!(state_of(&api, &uuid).await["steps"][0]["state"], "pending");
}

#[tokio::test]
async fn what_is_wrong_with_an_address_is_said_on_a_page() {
    let api = Api::with_template().await;
    let uuid = api.submit().await;
    let unknown = "01890a5d-ac96-774b-bcce-b302099a0000";
    for (path, status, says) in [
        ("/ui/tasks/7".to_owned(), 400, "is not the uuid of a task"),
        (format!("/ui/tasks/{unknown}"), 404, "there is no task"),
        (
            format!("/ui/tasks/{uuid}/steps/chrage"),
            404,
            "charge, ship",
        ),
        (
            format!("/ui/tasks/{unknown}/steps/charge"),
            404,
            "there is no task",
        ),
        (format!("/ui/tasks/{uuid}?state=lost"), 400, "lost"),
        (format!("/ui/tasks/{uuid}?page=0"), 400, "page"),
        (format!("/ui/tasks/{uuid}?x=1"), 400, "x"),
        (format!("/ui/tasks/{uuid}/act/explode"), 404, "explode"),
    ] {
        let answer = api.get(&path).await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        assert!(
            answer.text.contains("<h1>") && answer.text.contains(says),
            "{}",
            answer.text
        );
    }
}

#[tokio::test]
async fn what_many_tasks_went_through_together_is_linked() {
    let api = Api::with_template().await;
    let uuid = api.submit().await;
    api.fail().await;
    let body = json!({"filter": {"namespace": "shop", "state": "error"}, "action": "retry", "reason": "card works"});
    let done = api.post("/v1/bulk", &body).await;
    assert!(done.status < 300, "{done:?}");
    let bulk = done.json()["bulk_uuid"].as_str().unwrap().to_owned();
    wait_until("the act has ended", WAIT_TIMEOUT, async || {
        state_of(&api, &uuid).await["state"] == "in_progress"
    })
    .await;
    let shown = page(&api, &format!("/ui/tasks/{uuid}")).await;
    assert!(
        shown.contains(&format!("/ui/bulk/{bulk}")) && shown.contains("card works"),
        "{shown}"
    );
}

#[tokio::test]
async fn hostile_texts_are_text_and_large_ones_are_cut() {
    let api = Api::with_template().await;
    let context = json!({"note": "<script>alert(1)</script>", "blob": (0..300_000).map(|n| n % 977).collect::<Vec<_>>()});
    let task = json!({"namespace": "shop", "name": "order", "context": context});
    let task = api.post("/v1/tasks", &task).await.expect(201);
    let uuid = task["task_uuid"].as_str().unwrap();
    sqlx::query("update tasker.template_steps set name = $1 where name = 'ship'")
        .bind("a/b?c#\"><script>../%00\u{202e}")
        .execute(api.database.pool())
        .await
        .unwrap();
    api.run(StepOutcome::Fail(StepError {
        kind: "<script>".to_owned(),
        message: "<script>".repeat(100_000),
        details: Some(json!("<script>".repeat(100_000))),
    }))
    .await;
    let shown = page(&api, &format!("/ui/tasks/{uuid}")).await;
    let step = page(&api, &format!("/ui/tasks/{uuid}/steps/charge")).await;
    for shown in [&shown, &step] {
        assert!(shown.len() < 100_000, "{}", shown.len());
        assert!(!shown.contains("<script>"));
    }
    let address = shown
        .split('"')
        .find(|part| part.contains("/steps/a%2Fb"))
        .unwrap();
    assert_eq!(api.get(address).await.status, 200, "{address}");
}

#[tokio::test]
async fn a_task_of_ten_thousand_steps_is_shown_in_pages() {
    let api = Api::start().await;
    let steps: Vec<_> = (0..10_000)
        .map(|at: usize| {
            let before: Vec<_> = at
                .checked_sub(100)
                .into_iter()
                .map(|at| format!("step_{at}"))
                .collect();
            json!({"name": format!("step_{at}"), "handler": "h", "depends_on": before})
        })
        .collect();
    let template = json!({"namespace": "shop", "name": "wide", "version": "1.0.0", "steps": steps});
    assert_eq!(api.post("/v1/templates", &template).await.status, 201);
    let task = json!({"namespace": "shop", "name": "wide", "context": {}});
    let task = api.post("/v1/tasks", &task).await.expect(201);
    let path = format!("/ui/tasks/{}", task["task_uuid"].as_str().unwrap());
    api.run(StepOutcome::Complete(json!(1))).await;
    api.receive().await;
    for path in [path.clone(), format!("{path}?state=pending&page=2")] {
        let shown = page(&api, &path).await;
        assert!(shown.len() < 1_000_000, "{}", shown.len());
        assert!(shown.contains("Page ") && shown.contains("10\u{202f}000"));
    }
}
