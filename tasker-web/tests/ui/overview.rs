//! The overview, and the pages of processes, queues and channels.

use sqlx::AssertSqlSafe;

use crate::support::{Api, TEMPLATE};

const PAGES: [&str; 4] = ["/ui", "/ui/processes", "/ui/queues", "/ui/channels"];

async fn page(api: &Api, path: &str) -> String {
    let answer = api.get(path).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text
}

fn assert_says(page: &str, texts: &[&str]) {
    for text in texts {
        assert!(page.contains(text), "{text:?} is not in {page}");
    }
}

async fn run(api: &Api, sql: &str) {
    let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
    sql.execute(api.database.pool()).await.unwrap();
}

/// Registers a process; a worker has ten places.
async fn register(api: &Api, identity: &str, role: &str, namespaces: &str, handlers: &str) {
    let places = if role == "worker" {
        "10, 4"
    } else {
        "null, null"
    };
    run(
        api,
        &format!(
            "select tasker.register_process(gen_random_uuid(), '{identity}', '{role}', 'host-1', 7, '1.2.3',
              'Hybrid', '{namespaces}', '{handlers}', {places}, 60000)"
        ),
    )
    .await;
}

#[tokio::test]
async fn an_empty_database_says_what_to_do_first() {
    let api = Api::start().await;

    let overview = page(&api, "/ui").await;
    assert_says(
        &overview,
        &[
            "tasker template apply",
            "tasker task submit",
            "No orchestrator runs",
            "No step was sampled",
        ],
    );
    assert_says(
        &page(&api, "/ui/processes").await,
        &["No orchestrator and no worker runs."],
    );
    assert_says(
        &page(&api, "/ui/queues").await,
        &["There are no queues yet."],
    );
}

#[tokio::test]
async fn what_failed_and_what_waits_is_counted_by_template_with_links() {
    let api = Api::with_template().await;
    api.submit().await;
    api.fail().await;
    api.submit().await;

    let overview = page(&api, "/ui").await;

    let list = "/ui/tasks?namespace=shop&amp;name=order";
    let (failed, pending) = (
        format!("{list}&amp;state=error"),
        format!("{list}&amp;state=pending"),
    );
    assert_says(&overview, &["shop/order", list, &failed, &pending]);
    assert!(!overview.contains(&format!("{list}&amp;state=in_progress")));
    // The cause of the oldest task that has not ended.
    assert_says(&overview, &["no orchestrator serves the namespace shop"]);
}

/// A step in the queue, and a live orchestrator.
async fn with_a_step_in_the_queue() -> Api {
    let api = Api::with_template().await;
    register(&api, "o", "orchestrator", "{}", "{}").await;
    api.submit().await;
    run(&api, "select tasker.claim_ready_tasks('o', 10)").await;
    api
}

#[tokio::test]
async fn steps_without_any_worker_are_a_problem_of_their_queue() {
    let api = with_a_step_in_the_queue().await;

    for path in ["/ui", "/ui/queues"] {
        let page = page(&api, path).await;
        assert_says(&page, &["no live worker serves the namespace"]);
    }
}

#[tokio::test]
async fn handlers_that_no_worker_knows_are_named() {
    let api = with_a_step_in_the_queue().await;
    register(&api, "w", "worker", "{shop}", "{other.handler}").await;

    for path in ["/ui", "/ui/queues"] {
        let page = page(&api, path).await;
        let problem = "knows handlers that steps wait for: payments.charge (1)";
        assert_says(&page, &[problem, "4 of 10"]);
    }
}

#[tokio::test]
async fn a_process_that_is_silent_is_told_first() {
    let api = Api::start().await;
    register(&api, "alive", "orchestrator", "{}", "{}").await;
    register(&api, "lost", "worker", "{shop}", "{a.b}").await;
    run(
        &api,
        "update tasker.processes set last_seen_at = last_seen_at - interval '45 s' where identity = 'lost'",
    )
    .await;

    let processes = page(&api, "/ui/processes").await;

    assert_says(
        &processes,
        &[
            "Stopped reporting: worker lost.",
            "host-1",
            "1.2.3",
            "1 handler",
            "silent",
        ],
    );
    let place = |text: &str| processes.find(&format!("id=\"process-{text}-")).unwrap();
    assert!(
        place("worker-lost") < place("orchestrator-alive"),
        "{processes}"
    );
    assert_says(
        &page(&api, "/ui").await,
        &["Stopped reporting: worker lost."],
    );
}

#[tokio::test]
async fn samples_of_the_last_hour_are_drawn() {
    let api = Api::configured(|config| config.statistics.enabled = false).await;
    api.apply(TEMPLATE).await;
    let task = api.submit().await;
    run(
        &api,
        &format!(
            "select tasker.record_samples(array_agg('received_to_ended'::text), array_agg('{task}'::uuid),
              array_agg(1), array_agg(1), array_agg('normal'::text), array_agg(20::float8),
              array_agg(10::float8), array_agg(false)) from generate_series(1, 60)"
        ),
    )
    .await;

    let overview = page(&api, "/ui").await;

    assert_says(
        &overview,
        &[
            "<svg",
            "half within 20 ms",
            "Sampling is off in this process",
        ],
    );
}

#[tokio::test]
async fn the_channels_of_the_process_are_listed() {
    let api = Api::start().await;

    let channels = page(&api, "/ui/channels").await;

    let lossy = "messages are dropped";
    assert_says(
        &channels,
        &["web/submissions", "senders wait", lossy, "0 of 500"],
    );
}

#[tokio::test]
async fn names_from_elsewhere_are_text() {
    let api = Api::with_template().await;
    let hostile = "<script>alert(1)</script>";
    register(&api, hostile, "worker", "{shop}", "{\"<img src=x>\"}").await;
    run(
        &api,
        &format!(
            "update tasker.processes set host = '{hostile}', last_seen_at = now() - interval '40 s'"
        ),
    )
    .await;

    for path in PAGES {
        let page = page(&api, path).await;
        assert!(
            !page.contains("<script>") && !page.contains("<img src=x"),
            "{page}"
        );
        assert!(!page.contains(" style="), "{page}");
    }
}

#[tokio::test]
async fn a_parameter_that_no_page_has_is_refused_with_a_page() {
    let api = Api::start().await;
    for path in PAGES {
        let answer = api.get(&format!("{path}?nonsense=1")).await;
        assert_eq!(answer.status, 400, "{answer:?}");
        assert_says(&answer.text, &["there are no parameters here", "<h1>"]);
    }
}
