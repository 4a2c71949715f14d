//! What a person does on the first day: submit a task, watch it, find what failed, read why, and retry it.

use serde_json::json;

use crate::page::Page;
use crate::person::Kind;
use crate::stack::Stack;
use crate::templates::{FLAKY, ORDER, REFUSED};

#[tokio::test]
#[ignore = "needs Chromium: make test-browser"]
async fn a_task_is_submitted_by_form_and_seen_to_finish_without_a_reload() {
    let stack = Stack::start().await;
    stack.apply(ORDER).await;
    let mut page = Page::of(&stack).await;

    submit_an_order(&mut page).await;
    page.evaluate("window.sameDocument = true").await;
    page.wait_for(Kind::Link, "charge ◔ in progress").await;
    page.wait_for(Kind::Link, "ship ✓ complete").await;
    page.wait_for_state("complete").await;
    assert_eq!(page.evaluate("window.sameDocument").await, true);

    page.expect_nothing_noticed();
    stack.stop().await;
}

#[tokio::test]
#[ignore = "needs Chromium: make test-browser"]
async fn a_failed_task_is_found_understood_and_retried() {
    let stack = Stack::start().await;
    let mut page = Page::of(&stack).await;

    find_and_retry_the_failed(&stack, &mut page).await;
    page.evaluate("window.sameDocument = true").await;
    page.wait_for(Kind::Link, "ship ✓ complete").await;
    page.wait_for_state("complete").await;
    assert_eq!(page.evaluate("window.sameDocument").await, true);
    page.wait_for_text("the bank is open again").await;

    page.expect_nothing_noticed();
    stack.stop().await;
}

#[tokio::test]
#[ignore = "needs Chromium: make test-browser"]
async fn the_same_is_possible_without_a_script() {
    let stack = Stack::start().await;
    stack.apply(ORDER).await;
    let mut page = Page::of(&stack).await;
    page.forbid_scripts().await;

    submit_an_order(&mut page).await;
    page.reload_until(Kind::Link, "ship ✓ complete").await;
    page.wait_for_state("complete").await;
    find_and_retry_the_failed(&stack, &mut page).await;
    page.reload_until(Kind::Link, "ship ✓ complete").await;
    page.wait_for_state("complete").await;
    let moved = page.evaluate("typeof Idiomorph === 'undefined'").await;
    assert_eq!(moved, true, "a script ran");

    page.expect_nothing_noticed();
    stack.stop().await;
}

#[tokio::test]
#[ignore = "needs Chromium: make test-browser"]
async fn a_mistake_in_the_form_is_said_beside_what_was_typed() {
    let stack = Stack::start().await;
    stack.apply(ORDER).await;
    let mut page = Page::of(&stack).await;

    page.open("/ui/templates/shop/order/submit").await;
    page.fill("Order", "forty-two").await;
    page.fill("Idempotency key", "order-42").await;
    page.click(Kind::Button, "Submit").await;
    page.wait_for_text("Nothing was submitted").await;
    let typed = "[...document.querySelectorAll('input')].map((input) => input.value).join()";
    let typed = page.evaluate(typed).await;
    let typed = typed.as_str().unwrap();
    assert!(
        typed.contains("forty-two") && typed.contains("order-42"),
        "{typed}"
    );
    page.fill("Order", "42").await;
    page.click(Kind::Button, "Submit").await;
    page.wait_for_address("/ui/tasks/").await;

    // Chromium reports the answer 422.
    let faults = page.take_faults();
    assert!(faults.len() == 1 && faults[0].contains("422"), "{faults:?}");
    stack.stop().await;
}

/// From the list of templates to the page of the new task.
async fn submit_an_order(page: &mut Page) {
    page.open("/ui").await;
    page.click(Kind::Link, "Templates").await;
    page.wait_for_address("/ui/templates").await;
    page.click(Kind::Link, "order").await;
    page.wait_for_address("/ui/templates/shop/order").await;
    page.click(Kind::Link, "Submit a task").await;
    page.wait_for_address("/ui/templates/shop/order/submit")
        .await;
    page.fill("Order", "42").await;
    page.choose("speed", "express").await;
    page.click(Kind::Button, "Submit").await;
    page.wait_for_address("/ui/tasks/").await;
}

/// From the list of tasks to the page of the task that failed, which was just retried.
async fn find_and_retry_the_failed(stack: &Stack, page: &mut Page) {
    stack.apply(FLAKY).await;
    let failed = stack.submit("shop/flaky", json!({})).await;
    stack.wait_for_state(&failed, "error").await;

    page.open("/ui/tasks").await;
    page.click(Kind::Link, "error").await;
    page.wait_for_address("/ui/tasks?state=error").await;
    page.fill("Template", "flaky").await;
    page.click(Kind::Button, "Filter").await;
    page.wait(
        "the filter is the address",
        "location.search.includes('name=flaky')",
    )
    .await;
    page.wait_for_text(REFUSED).await;
    page.click(Kind::Link, &failed[24..32]).await;
    page.wait_for_address(&format!("/ui/tasks/{failed}")).await;
    page.wait_for_text(REFUSED).await;
    page.wait_for(Kind::Link, "charge ✕ error").await;

    page.click(Kind::Link, "Retry").await;
    page.fill("Reason", "the bank is open again").await;
    // The page that follows has the same address.
    page.evaluate("window.isBefore = true").await;
    page.click(Kind::Button, "Retry").await;
    page.wait("the page follows", "window.isBefore === undefined")
        .await;
    page.wait_for_address(&format!("/ui/tasks/{failed}")).await;
}
