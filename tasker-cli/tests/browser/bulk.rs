//! Acts on many tasks.

use serde_json::json;

use crate::page::Page;
use crate::person::Kind;
use crate::stack::Stack;
use crate::templates::FLAKY;

/// As many as one page of the API lists.
const MANY: usize = 500;

#[tokio::test]
#[ignore = "needs Chromium: make test-browser"]
async fn five_hundred_failed_tasks_are_counted_retried_and_followed_to_the_end() {
    let stack = Stack::start().await;
    stack.apply(FLAKY).await;
    stack.submit_many("shop/flaky", vec![json!({}); MANY]).await;
    stack.wait_for_tasks("error", MANY).await;
    let mut page = Page::of(&stack).await;

    page.open("/ui/tasks?state=error").await;
    page.click(Kind::Link, "Retry failed steps").await;
    page.wait_for_text("500 tasks").await;
    page.fill("Reason", "the bank is open again").await;
    page.click(Kind::Button, "Retry failed steps").await;
    page.wait_for_address("/ui/bulk/").await;
    page.wait(
        "all were done",
        r"/\b500\s+done/.test(document.body.innerText)",
    )
    .await;
    page.wait_for_state("finished").await;
    page.wait_for_text("the bank is open again").await;
    page.wait("it stays as it is", "!document.body.dataset.live")
        .await;
    stack.wait_for_tasks("complete", MANY).await;

    page.expect_nothing_noticed();
    stack.stop().await;
}

#[tokio::test]
#[ignore = "needs Chromium: make test-browser"]
async fn selected_tasks_are_one_act() {
    let stack = Stack::start().await;
    stack.apply(FLAKY).await;
    stack.submit_many("shop/flaky", vec![json!({}); 60]).await;
    stack.wait_for_tasks("error", 60).await;
    let mut page = Page::of(&stack).await;

    page.open("/ui/tasks?state=error&limit=50").await;
    page.click(Kind::Checkbox, "Select all on this page").await;
    page.wait_for_text("Selected: 50").await;
    page.click(Kind::Button, "Retry failed steps").await;
    page.wait_for_text("50 tasks").await;
    page.click(Kind::Button, "Retry failed steps").await;
    page.wait_for_address("/ui/bulk/").await;
    stack.wait_for_tasks("complete", 50).await;
    stack.wait_for_tasks("error", 10).await;

    page.expect_nothing_noticed();
    stack.stop().await;
}
