//! The keyboard.

use crate::page::Page;
use crate::stack::Stack;

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
    page.press("g").await;
    page.press("q").await;
    page.wait_for_address("/ui/queues").await;

    page.expect_nothing_noticed();
    stack.stop().await;
}
