//! The list of tasks and the search: what they show, and where they lead.

use reqwest::redirect::Policy;
use serde_json::json;
use tasker_shared::steps::{StepError, StepOutcome};

use crate::support::{Answer, Api, TEMPLATE};

/// A page, after it was found to be one.
pub(crate) async fn page(api: &Api, path: &str) -> String {
    let answer = api.get(path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    answer.text
}

/// What a path answers itself, without following where it leads.
pub(crate) async fn first_answer(api: &Api, path: &str) -> Answer {
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(Policy::none());
    Answer::of(client.build().unwrap().get(api.url(path))).await
}

/// The UUIDs of the tasks that a page lists, in their order.
fn listed(page: &str) -> Vec<String> {
    let rows = page.split("id=\"task-").skip(1);
    rows.map(|row| row[..36].to_owned()).collect()
}

/// Where the link of this relation leads.
fn link(page: &str, relation: &str) -> Option<String> {
    let (_, rest) = page.split_once(&format!("rel=\"{relation}\" href=\""))?;
    Some(rest.split_once('"')?.0.replace("&amp;", "&"))
}

async fn fail_with(api: &Api, message: &str) {
    api.run(StepOutcome::Fail(StepError {
        kind: "handler_failed".to_owned(),
        message: message.to_owned(),
        details: None,
    }))
    .await;
}

#[tokio::test]
async fn the_first_visit_says_how_to_submit_a_task() {
    let api = Api::start().await;
    let shown = page(&api, "/ui/tasks").await;
    assert!(shown.contains("There are no tasks yet."), "{shown}");
    assert!(shown.contains("tasker task submit"), "{shown}");
    assert!(shown.contains("href=\"/ui/templates\""), "{shown}");
}

#[tokio::test]
async fn a_task_shows_where_it_stands_and_what_failed() {
    let api = Api::with_template().await;
    let failed = api.submit().await;
    api.fail().await;
    let waits = api.submit().await;

    let shown = page(&api, "/ui/tasks").await;
    assert_eq!(listed(&shown), [waits, failed.clone()]);
    for part in [
        &*format!("href=\"/ui/tasks/{failed}\""),
        "href=\"/ui/templates/shop/order/1.0.0\"",
        "charge",
        "card refused",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[tokio::test]
async fn a_step_that_no_worker_can_run_is_named() {
    let api = Api::with_template().await;
    api.submit().await;
    sqlx::raw_sql(
        "select tasker.claim_ready_tasks('test', 10);
         select tasker.register_process(gen_random_uuid(), 'w', 'worker', 'h', 7, '0', 'Hybrid',
           '{shop}', '{shipping.create}', 10, 3, 0)",
    )
    .execute(api.database.pool())
    .await
    .unwrap();
    let shown = page(&api, "/ui/tasks").await;
    assert!(shown.contains("no worker knows its handler"), "{shown}");
}

#[tokio::test]
async fn the_address_is_the_filter_and_empty_fields_do_not_restrict() {
    let api = Api::with_template().await;
    api.apply(&TEMPLATE.replace("1.0.0", "1.1.0")).await;
    let failed = api.submit().await;
    api.fail().await;
    let old = json!({
        "namespace": "shop", "name": "order", "version": "1.0.0", "context": {},
        "idempotency_key": "order & 1",
    });
    let old = api.post("/v1/tasks", &old).await.json()["task_uuid"].clone();
    let old = old.as_str().unwrap().to_owned();
    let all = vec![old.clone(), failed.clone()];

    for (query, expected) in [
        ("", all.clone()),
        (
            "?namespace=&name=&state=&since=&until=&key=&step=&error=&where=",
            all.clone(),
        ),
        ("?namespace=shop&name=order&since=1h", all.clone()),
        ("?state=error", vec![failed.clone()]),
        ("?step=charge", vec![failed.clone()]),
        ("?error=CARD", vec![failed]),
        ("?key=order+%26+1", vec![old.clone()]),
        ("?name=order&version=1.0.0", vec![old]),
        ("?version=2.0.0", vec![]),
        ("?until=1h", vec![]),
    ] {
        let shown = page(&api, &format!("/ui/tasks{query}")).await;
        assert_eq!(listed(&shown), expected, "{query}");
        assert_eq!(
            shown.contains("No tasks match."),
            expected.is_empty(),
            "{query}"
        );
        let is_restricted = query.contains("=1") || query.contains("=e") || expected.len() < 2;
        assert_eq!(shown.contains("Drop the filter"), is_restricted, "{query}");
    }
}

#[tokio::test]
async fn tasks_are_found_by_search_values_in_one_field() {
    let api = Api::start().await;
    api.apply(&TEMPLATE.replace("defaults:", "search: [order_id, city]\ndefaults:"))
        .await;
    for (order, city) in [(1, "New York"), (2, "Rome"), (3, "New York")] {
        let context = json!({"order_id": order, "city": city});
        let task = json!({"namespace": "shop", "name": "order", "context": context});
        api.post("/v1/tasks", &task).await.expect(201);
    }
    for (query, expected) in [
        ("order_id=2", 1),
        ("city=New+York+order_id>1", 1),
        ("city=New+York", 2),
        ("order_id>=2,+city^=R", 1),
        ("order_id=2&where=order_id=3", 0),
    ] {
        let shown = page(
            &api,
            &format!(
                "/ui/tasks?where={}",
                query.replace('>', "%3E").replace('^', "%5E")
            ),
        )
        .await;
        assert_eq!(listed(&shown).len(), expected, "{query}");
    }
    let answer = api.get("/ui/tasks?where=colour=red").await;
    assert_eq!(answer.status, 422);
    assert!(
        answer.text.contains("there is no search path colour"),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn pages_lead_to_the_last_task_and_back_again() {
    let api = Api::with_template().await;
    let mut submitted = Vec::new();
    for _ in 0..5 {
        submitted.insert(0, api.submit().await);
    }
    let mut shown = page(&api, "/ui/tasks?limit=2&namespace=shop").await;
    assert_eq!(link(&shown, "prev"), None);
    let mut seen = listed(&shown);
    while let Some(next) = link(&shown, "next") {
        assert!(next.contains("namespace=shop"), "{next}");
        shown = page(&api, &next).await;
        seen.extend(listed(&shown));
    }
    assert_eq!(seen, submitted);

    // A page that is left before the first is filled up, and is the first.
    let previous = link(&shown, "prev").unwrap();
    shown = page(&api, &previous).await;
    assert_eq!(listed(&shown), submitted[2..4]);
    let previous = link(&shown, "prev").unwrap();
    shown = page(&api, &previous).await;
    assert_eq!(listed(&shown), submitted[..2]);
    assert_eq!(link(&shown, "prev"), None);
}

#[tokio::test]
async fn a_page_beyond_the_last_task_leads_to_the_first() {
    let api = Api::with_template().await;
    let task = api.submit().await;
    let cursor = format!("t1-{}", task.replace('-', ""));
    let shown = page(&api, &format!("/ui/tasks?limit=5&cursor={cursor}")).await;
    assert!(shown.contains("beyond the last task"), "{shown}");
    assert!(shown.contains("href=\"/ui/tasks?limit=5\""), "{shown}");
}

#[tokio::test]
async fn what_errors_and_addresses_say_is_text() {
    let api = Api::with_template().await;
    api.submit().await;
    fail_with(
        &api,
        &format!("<script>\u{202e}\"'&{}", "x".repeat(100_000)),
    )
    .await;
    for path in [
        "/ui/tasks",
        "/ui/tasks?error=%22%3E%3Cscript%3E",
        "/ui/tasks?key=%3Cscript%3E",
        "/ui/search?q=%3Cscript%3E%22",
        "/ui/bulk/new?action=retry&error=%3Cscript%3E",
    ] {
        let shown = page(&api, path).await;
        assert!(!shown.contains("<script>"), "{path}: {shown}");
        assert!(shown.contains("&lt;script&gt;"), "{path}: {shown}");
        assert!(shown.len() < 20_000, "{path} has {} bytes", shown.len());
    }
}

#[tokio::test]
async fn a_filter_that_cannot_be_read_is_answered_with_what_is_wrong() {
    let api = Api::start().await;
    for (query, says) in [
        (
            "since=yesterday",
            "since is &quot;yesterday&quot;, expected how long ago",
        ),
        ("state=broken", "unknown state &quot;broken&quot;"),
        ("cursor=1", "cursor is not one that this listing gave"),
        ("after=1", "cursor is not one that this listing gave"),
        ("limit=100000", "expected a number from 1 to"),
        ("colour=red", "unknown field `colour`"),
        ("where=nonsense", "`nonsense` is no condition"),
        ("namespace=A", "namespace"),
        ("name=%00", "%00"),
    ] {
        let answer = api.get(&format!("/ui/tasks?{query}")).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.text);
        assert!(answer.text.contains(says), "{query}: {}", answer.text);
        assert!(answer.text.starts_with("<!DOCTYPE html>"), "{query}");
    }
}

#[tokio::test]
async fn a_search_leads_to_what_is_called_so() {
    let api = Api::with_template().await;
    let task = json!({
        "namespace": "shop", "name": "order", "context": {}, "idempotency_key": "order-1",
    });
    let task = api.post("/v1/tasks", &task).await.json()["task_uuid"].clone();
    let task = task.as_str().unwrap().to_owned();
    let of_task = format!("/ui/tasks/{task}");
    for (sought, leads_to) in [
        (task.clone(), &*of_task),
        (task.to_uppercase(), &of_task),
        (format!("{}2", &task[..35]), &of_task),
        (task[..18].to_owned(), &of_task),
        (task[24..32].to_owned(), &of_task),
        ("order-1".to_owned(), &of_task),
        ("+order-1+".to_owned(), &of_task),
        ("order".to_owned(), "/ui/templates/shop/order"),
        ("shop/order".to_owned(), "/ui/templates/shop/order"),
        (String::new(), "/ui/tasks"),
    ] {
        let answer = first_answer(&api, &format!("/ui/search?q={sought}")).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (303, leads_to),
            "{sought}"
        );
    }
}

#[tokio::test]
async fn a_search_that_finds_nothing_or_several_says_so_above_the_tasks() {
    let api = Api::with_template().await;
    let tasks = [api.submit().await, api.submit().await];
    for sought in [
        "nothing-there",
        "01890a5d-ac96-774b-bcce-b302099a0000",
        "ffff",
    ] {
        let shown = page(&api, &format!("/ui/search?q={sought}")).await;
        assert!(shown.contains(&format!("“<bdi>{sought}</bdi>”")), "{shown}");
        assert!(shown.contains("Nothing is called"), "{shown}");
        assert_eq!(listed(&shown).len(), 2, "{shown}");
    }
    let shown = page(&api, &format!("/ui/search?q={}", &tasks[0][..6])).await;
    assert!(shown.contains("More than one task"), "{shown}");
    for task in &tasks {
        assert!(shown.contains(&format!(">{task}</a>")), "{shown}");
    }
}
