//! Times, in the viewer's zone.

use chrono::{DateTime, FixedOffset};
use serde_json::json;

use crate::page::Page;
use crate::stack::Stack;
use crate::templates::FLAKY;

#[tokio::test]
#[ignore = "needs Chromium: make test-browser"]
async fn times_are_in_the_zone_of_the_viewer_with_the_exact_one_at_hand() {
    let stack = Stack::start().await;
    stack.apply(FLAKY).await;
    let task = stack.submit("shop/flaky", json!({})).await;
    stack.wait_for_state(&task, "error").await;
    let mut page = Page::of(&stack).await;
    page.be_in_zone("Asia/Kolkata").await;
    let kolkata = FixedOffset::east_opt(5 * 3600 + 1800).unwrap();

    for address in [format!("/ui/tasks/{task}"), "/ui/tasks".to_owned()] {
        page.open(&address).await;
        let times = "[...document.querySelectorAll('main time')].map((time) => \
                     [time.dateTime, time.innerText, time.title])";
        let times = page.evaluate(times).await;
        let times: Vec<[String; 3]> = serde_json::from_value(times).unwrap();
        assert!(!times.is_empty(), "{address}");
        for [exact, shown, title] in times {
            let at = DateTime::parse_from_rfc3339(&exact).unwrap();
            let clock = at.with_timezone(&kolkata).format("%-I:%M:%S").to_string();
            assert!(shown.contains(&clock), "{shown} is not {exact} in Kolkata");
            assert!(title.contains(&exact), "{title}");
        }
    }

    page.expect_nothing_noticed();
    stack.stop().await;
}
