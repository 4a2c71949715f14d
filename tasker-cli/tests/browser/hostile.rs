//! Texts that mean harm.

use reqwest::Url;
use serde_json::json;

use crate::page::Page;
use crate::person::Kind;
use crate::stack::Stack;
use crate::templates::{HOSTILE, hostile_template};

/// Bytes of an error and of a context that are long.
const LONG: usize = 1 << 20;

/// More than a page needs, and less than what would make a browser slow.
const LARGEST_PAGE: u64 = 1_000_000;

#[tokio::test]
#[ignore = "needs Chromium: make test-browser"]
async fn hostile_texts_are_shown_and_do_nothing() {
    let stack = Stack::start().await;
    stack.apply(&hostile_template(LONG)).await;
    let context = json!({(HOSTILE): HOSTILE, "long": HOSTILE.repeat(LONG / HOSTILE.len())});
    let task = stack.submit("hostile/texts", context).await;
    stack.wait_for_state(&task, "error").await;
    let mut page = Page::of(&stack).await;

    for address in [
        "/ui/templates".to_owned(),
        "/ui/templates/hostile/texts".to_owned(),
        "/ui/templates/hostile/texts/submit".to_owned(),
        "/ui/tasks".to_owned(),
        asking("/ui/tasks", "error"),
        asking("/ui/search", "q"),
        format!("/ui/tasks/{task}"),
        format!("/ui/tasks/{task}/steps/first"),
        format!("/ui/tasks/{task}/steps/second"),
    ] {
        page.open(&address).await;
        page.wait("the hostile text is text", "document.body.innerText.includes('<script>window.harmed') \
                   || [...document.querySelectorAll('input, textarea')].some((one) => one.value.includes('<script>'))").await;
        let foreign = "document.querySelectorAll('main script, main img, main h1 ~ h1').length";
        assert_eq!(page.evaluate(foreign).await, 0, "{address}");
        assert_eq!(page.evaluate("window.harmed === undefined").await, true);
        let size = "document.documentElement.outerHTML.length";
        let size = page.evaluate(size).await.as_u64().unwrap();
        assert!(size < LARGEST_PAGE, "{address} has {size} characters");
        page.expect_nothing_noticed();
    }

    page.click(Kind::Link, "Overview").await;
    page.wait_for_address("/ui").await;
    page.expect_nothing_noticed();
    stack.stop().await;
}

/// An address that asks for the hostile text.
fn asking(path: &str, parameter: &str) -> String {
    let address = Url::parse_with_params("http://any", [(parameter, HOSTILE)]).unwrap();
    format!("{path}?{}", address.query().unwrap())
}
