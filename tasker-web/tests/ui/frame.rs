//! What every page has in common.

use tasker_shared::steps::StepOutcome;
use tasker_testing::WAIT_TIMEOUT;
use tokio::time::timeout;

use crate::support::{Answer, Api};

#[tokio::test]
async fn every_page_forbids_what_is_not_of_this_server() {
    let api = Api::start().await;

    for page in ["/ui", "/ui/tasks", "/ui/nothing-there"] {
        let answer = api.get(page).await;
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(!answer.text.contains(" style="), "{}", answer.text);
        assert!(
            answer.headers["content-type"]
                .to_str()
                .unwrap()
                .starts_with("text/html")
        );
    }
}

#[tokio::test]
async fn a_problem_is_shown_as_a_page() {
    let api = Api::start().await;

    let answer = api.get("/ui/nothing-there").await;
    assert_eq!(answer.status, 404);
    assert!(
        answer
            .text
            .contains("there is no page at /ui/nothing-there")
    );
}

/// The next event of a stream, or nothing at its end.
async fn next_event(stream: &mut reqwest::Response) -> Option<String> {
    let chunk = timeout(WAIT_TIMEOUT, stream.chunk()).await;
    let chunk = chunk.expect("nothing was told").ok()??;
    Some(String::from_utf8_lossy(&chunk).into_owned())
}

#[tokio::test]
async fn a_page_hears_of_what_happens_to_its_task() {
    let api = Api::with_template().await;
    let task = api.submit().await;
    let address = api.url(&format!("/ui/live?task_uuid={task}"));
    let mut stream = api.client.get(address).send().await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    // The page was drawn before it began to listen: it hears of the state that it may have missed.
    assert!(
        next_event(&mut stream)
            .await
            .unwrap()
            .contains("event: changed")
    );

    api.run(StepOutcome::Complete(serde_json::Value::Null))
        .await;
    assert!(
        next_event(&mut stream)
            .await
            .unwrap()
            .contains("event: changed")
    );

    api.stop();
    assert_eq!(next_event(&mut stream).await, None);
}

#[tokio::test]
async fn a_page_of_many_tasks_hears_now_and_then() {
    let api = Api::start().await;
    let mut stream = api.client.get(api.url("/ui/live")).send().await.unwrap();
    for _ in 0..2 {
        assert!(
            next_event(&mut stream)
                .await
                .unwrap()
                .contains("event: changed")
        );
    }
}

#[tokio::test]
async fn pages_stay_current_after_the_loop_behind_them_broke() {
    let api = Api::start().await;
    let mut stream = api.client.get(api.url("/ui/live")).send().await.unwrap();
    assert!(api.make_panic("live_pages"));
    assert!(
        next_event(&mut stream)
            .await
            .unwrap()
            .contains("event: changed")
    );
}

/// A request as a form on a page of this origin makes it.
async fn from_site(api: &Api, path: &str, origin: &str) -> Answer {
    let request = api.client.post(api.url(path)).header("origin", origin);
    Answer::of(request).await
}

#[tokio::test]
async fn a_page_of_another_site_cannot_act() {
    let api = Api::with_template().await;
    let task = api.submit().await;
    let cancel = format!("/v1/tasks/{task}/cancel");

    let refused = from_site(&api, &cancel, "http://elsewhere.example").await;
    refused.problem(403, "cross-site");
    assert_eq!(
        api.get(&format!("/v1/tasks/{task}")).await.json()["state"],
        "pending"
    );

    let own = from_site(&api, &cancel, &api.url("")).await;
    assert_eq!(own.status, 200);
}
