//! What all pages have around their content.

use crate::page::Page;
use crate::person::Kind;
use crate::stack::Stack;

#[tokio::test]
#[ignore = "needs Chromium: make test-browser"]
async fn the_navigation_leads_to_every_part() {
    let stack = Stack::start().await;
    let mut page = Page::of(&stack).await;

    page.open("/").await;
    page.wait_for_address("/ui").await;
    for (part, address) in [
        ("Tasks", "/ui/tasks"),
        ("Templates", "/ui/templates"),
        ("Processes", "/ui/processes"),
        ("Queues", "/ui/queues"),
        ("Channels", "/ui/channels"),
        ("Overview", "/ui"),
    ] {
        page.click(Kind::Link, part).await;
        page.wait_for_address(address).await;
        assert!(page.has(Kind::Heading, part).await, "{part}");
    }

    page.expect_nothing_noticed();
    stack.stop().await;
}

#[tokio::test]
#[ignore = "needs Chromium: make test-browser"]
async fn a_page_that_is_not_there_says_so_and_leads_on() {
    let stack = Stack::start().await;
    let mut page = Page::of(&stack).await;

    page.open("/ui/nothing-there").await;
    page.wait_for_text("there is no page at /ui/nothing-there")
        .await;
    page.click(Kind::Link, "Go to the overview").await;
    page.wait_for_address("/ui").await;

    // Chromium reports every page that is answered with 404.
    let faults = page.take_faults();
    assert!(faults.len() == 1 && faults[0].contains("404"), "{faults:?}");
    stack.stop().await;
}

#[tokio::test]
#[ignore = "needs Chromium: make test-browser"]
async fn light_and_dark_follow_the_viewer_until_told_otherwise() {
    let stack = Stack::start().await;
    let mut page = Page::of(&stack).await;
    let ground = "getComputedStyle(document.body).backgroundColor";

    page.open("/ui").await;
    let light = page.evaluate(ground).await;
    page.prefer("dark").await;
    let dark = page.evaluate(ground).await;
    assert_ne!(light, dark);
    page.click(Kind::Button, "Switch between light and dark")
        .await;
    assert_eq!(page.evaluate(ground).await, light);
    page.open("/ui/tasks").await;
    assert_eq!(page.evaluate(ground).await, light);

    page.expect_nothing_noticed();
    stack.stop().await;
}
