//! What is done to many tasks at once, as pages ask for it and show it.

use serde_json::Value;
use tasker_testing::{WAIT_TIMEOUT, wait_until};

use crate::lists::page;
use crate::support::{Answer, Api};

async fn with_failed(tasks: usize) -> (Api, Vec<String>) {
    let api = Api::with_template().await;
    let mut failed = Vec::new();
    for _ in 0..tasks {
        failed.push(api.submit().await);
    }
    api.fail().await;
    (api, failed)
}

/// Posts a form and gives the answer itself.
async fn send(api: &Api, path: &str, fields: &[(&str, &str)]) -> Answer {
    let client = reqwest::Client::builder().no_proxy();
    let client = client
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    Answer::of(form(client.post(api.url(path)), fields)).await
}

/// A request with a form.
fn form(request: reqwest::RequestBuilder, fields: &[(&str, &str)]) -> reqwest::RequestBuilder {
    let body = serde_html_form::to_string(fields).unwrap();
    request
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body)
}

/// What a hidden field of a page holds.
fn field(page: &str, name: &str) -> String {
    let (_, rest) = page
        .split_once(&format!("name=\"{name}\" value=\""))
        .unwrap();
    rest.split_once('"')
        .unwrap()
        .0
        .replace("&quot;", "\"")
        .replace("&amp;", "&")
}

/// Confirms what a page asks, and gives the address of the act.
async fn confirm(api: &Api, page: &str, reason: &str) -> String {
    let names = ["action", "filter", "of"];
    let values = names.map(|name| field(page, name));
    let mut fields: Vec<_> = names
        .into_iter()
        .zip(values.iter().map(String::as_str))
        .collect();
    fields.push(("reason", reason));
    let answer = send(api, "/ui/bulk", &fields).await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    answer.header("location").to_owned()
}

async fn until_ended(api: &Api, address: &str) -> String {
    wait_until("the act has ended", WAIT_TIMEOUT, async || {
        page(api, address)
            .await
            .contains("class=\"state finished\"")
    })
    .await;
    page(api, address).await
}

async fn state(api: &Api, task: &str) -> Value {
    api.get(&format!("/v1/tasks/{task}")).await.json()["state"].clone()
}

#[tokio::test]
async fn all_that_match_are_counted_confirmed_and_retried() {
    let (api, failed) = with_failed(3).await;
    let list = page(&api, "/ui/tasks?step=charge").await;
    let link = "/ui/bulk/new?step=charge&amp;action=retry";
    assert!(list.contains(link), "{list}");

    let asked = page(&api, &link.replace("&amp;", "&")).await;
    assert!(asked.contains("Retry failed steps: 3 tasks"), "{asked}");
    assert!(asked.contains("<bdi>charge</bdi>"), "{asked}");
    assert_eq!(
        state(&api, &failed[0]).await,
        "error",
        "nothing is done yet"
    );

    let address = confirm(&api, &asked, " the bank is back ").await;
    let shown = until_ended(&api, &address).await;
    for part in [
        "<b>3</b><span>done</span>",
        "the bank is back",
        "operator:ui",
        "/ui/tasks?state=error&amp;step=charge",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert_eq!(state(&api, &failed[0]).await, "in_progress");
    assert!(
        !shown.contains("data-live"),
        "what ended is not fetched again: {shown}"
    );
    let acts = page(&api, "/ui/bulk").await;
    let path = address.split('?').next().unwrap();
    assert!(acts.contains(&format!("href=\"{path}\"")), "{acts}");
}

#[tokio::test]
async fn tasks_that_were_selected_are_one_act() {
    let (api, failed) = with_failed(3).await;
    let fields: [(&str, &str); 3] = [
        ("action", "resolve"),
        ("task", &failed[0]),
        ("task", &failed[2]),
    ];
    let asked = send(&api, "/ui/bulk/new", &fields).await;
    assert!(
        asked.text.contains("Mark as resolved: 2 tasks"),
        "{}",
        asked.text
    );

    let address = confirm(&api, &asked.text, "").await;
    let shown = until_ended(&api, &address).await;
    assert!(shown.contains("2 selected tasks"), "{shown}");
    for (task, expected) in failed
        .iter()
        .zip(["resolved_manually", "error", "resolved_manually"])
    {
        assert_eq!(state(&api, task).await, expected);
    }
}

#[tokio::test]
async fn a_selected_task_that_cannot_take_it_is_refused_by_itself() {
    let (api, failed) = with_failed(1).await;
    let waits = api.submit().await;
    let fields: [(&str, &str); 3] = [("action", "retry"), ("task", &failed[0]), ("task", &waits)];
    let asked = send(&api, "/ui/bulk/new", &fields).await;
    let address = confirm(&api, &asked.text, "").await;
    let shown = until_ended(&api, &address).await;
    assert!(shown.contains("<b>1</b><span>done</span>"), "{shown}");
    assert!(shown.contains("<b>1</b><span>refused"), "{shown}");
    assert!(shown.contains("has no failed step to retry"), "{shown}");
}

#[tokio::test]
async fn an_act_can_be_stopped_from_its_page() {
    let (api, _) = with_failed(1).await;
    let noted = "select tasker.start_bulk_act('retry', '{}', 'test')";
    let bulk: sqlx::types::Uuid = sqlx::query_scalar(noted)
        .fetch_one(api.database.pool())
        .await
        .unwrap();
    let path = format!("/ui/bulk/{bulk}");
    let shown = page(&api, &format!("{path}?of=7")).await;
    assert!(shown.contains("Stop it here"), "{shown}");
    assert!(shown.contains("max=\"7\""), "{shown}");

    let answer = send(&api, &format!("{path}/stop"), &[]).await;
    assert_eq!((answer.status, answer.header("location")), (303, &*path));
    let shown = page(&api, &path).await;
    assert!(shown.contains("class=\"state stopped\""), "{shown}");
    assert!(!shown.contains("Stop it here"), "{shown}");
}

#[tokio::test]
async fn what_cannot_be_done_is_said_before_anything_is_done() {
    let (api, failed) = with_failed(1).await;
    let nothing = page(&api, "/ui/bulk/new?action=retry&name=absent").await;
    assert!(nothing.contains("No tasks match"), "{nothing}");
    assert!(!nothing.contains("<form method=\"post\""), "{nothing}");
    for (path, says) in [
        ("/ui/bulk/new?action=explode", "explode"),
        ("/ui/bulk/new", "none of retry, resolve, cancel"),
        (
            "/ui/bulk/new?action=cancel",
            "say which state the tasks are in",
        ),
        ("/ui/bulk/new?action=retry&since=never", "since is"),
        ("/ui/bulk/x", "is not the uuid of a bulk act"),
        (
            "/ui/bulk/01890a5d-ac96-774b-bcce-b302099a0000",
            "there is no bulk act",
        ),
    ] {
        let answer = api.get(path).await;
        assert!(
            (400..500).contains(&answer.status),
            "{path}: {}",
            answer.text
        );
        assert!(answer.text.contains(says), "{path}: {}", answer.text);
    }
    let long = "x".repeat(2001);
    for (path, fields, says) in [
        (
            "/ui/bulk/new",
            vec![("action", "retry")],
            "no task is selected",
        ),
        (
            "/ui/bulk/new",
            vec![("action", "retry"), ("task", "x")],
            "the form cannot be read",
        ),
        (
            "/ui/bulk",
            vec![("action", "retry"), ("filter", "{\"tasks\": []}")],
            "no list of 1 to 500",
        ),
        (
            "/ui/bulk",
            vec![("action", "retry"), ("filter", "no")],
            "filter",
        ),
        (
            "/ui/bulk",
            vec![("action", "retry"), ("filter", "{}"), ("reason", &*long)],
            "2001 characters",
        ),
    ] {
        let answer = send(&api, path, &fields).await;
        assert!(
            (400..500).contains(&answer.status),
            "{says}: {}",
            answer.text
        );
        assert!(answer.text.contains(says), "{says}: {}", answer.text);
    }
    assert_eq!(state(&api, &failed[0]).await, "error");
    let acts = page(&api, "/ui/bulk").await;
    assert!(
        acts.contains("Nothing was done to many tasks at once."),
        "{acts}"
    );
}

#[tokio::test]
async fn no_other_site_starts_or_stops_an_act() {
    let (api, failed) = with_failed(1).await;
    let fields = [("action", "retry"), ("filter", "{}")];
    let client = &api.client;
    for path in [
        "/ui/bulk",
        "/ui/bulk/new",
        "/ui/bulk/01890a5d-ac96-774b-bcce-b302099a0000/stop",
    ] {
        let request = form(client.post(api.url(path)), &fields);
        let answer = Answer::of(request.header("sec-fetch-site", "cross-site")).await;
        assert_eq!(answer.status, 403, "{path}");
    }
    assert_eq!(state(&api, &failed[0]).await, "error");
}
