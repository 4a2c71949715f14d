//! The keyboard.

use serde_json::json;

use crate::page::Page;
use crate::stack::Stack;
use crate::templates::FLAKY;

#[tokio::test]
#[ignore = "needs Chromium: make test-browser"]
async fn a_question_mark_shows_the_keys_and_escape_closes_them() {
    let stack = Stack::start().await;
    let mut page = Page::of(&stack).await;

    page.open("/ui").await;
    page.press("?").await;
    page.wait_for_text("next and previous row").await;
    page.press("Escape").await;
    page.wait_for_no_text("next and previous row").await;
    page.wait(
        "the focus left the dialog",
        "document.activeElement === document.body",
    )
    .await;
    page.press("g").await;
    page.press("q").await;
    page.wait_for_address("/ui/queues").await;

    page.expect_nothing_noticed();
    stack.stop().await;
}

#[tokio::test]
#[ignore = "needs Chromium: make test-browser"]
async fn rows_are_walked_selected_and_opened() {
    let stack = Stack::start().await;
    stack.apply(FLAKY).await;
    let mut tasks = stack.submit_many("shop/flaky", vec![json!({}); 3]).await;
    tasks.sort();
    stack.wait_for_tasks("error", 3).await;
    let mut page = Page::of(&stack).await;
    let current = "document.querySelector('tr.current')?.id";

    page.open("/ui/tasks").await;
    for key in ["j", "j", "j", "k", "x"] {
        page.press(key).await;
    }
    let middle = page.evaluate(current).await;
    assert_eq!(middle, format!("task-{}", tasks[1]));
    page.wait_for_text("Selected: 1").await;
    page.press("Enter").await;
    page.wait_for_address(&format!("/ui/tasks/{}", tasks[1]))
        .await;

    page.expect_nothing_noticed();
    stack.stop().await;
}

#[tokio::test]
#[ignore = "needs Chromium: make test-browser"]
async fn a_slash_searches() {
    let stack = Stack::start().await;
    stack.apply(FLAKY).await;
    let task = stack.submit("shop/flaky", json!({})).await;
    let mut page = Page::of(&stack).await;

    page.open("/ui").await;
    page.press("/").await;
    page.type_text(&task).await;
    page.press("Enter").await;
    page.wait_for_address(&format!("/ui/tasks/{task}")).await;
    page.press("/").await;
    page.type_text("nothing is called so").await;
    page.press("Enter").await;
    page.wait_for_text("nothing is called so").await;

    page.expect_nothing_noticed();
    stack.stop().await;
}
