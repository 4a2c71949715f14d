//! What pages may load and run, and whose forms are taken.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use serde_json::json;

use crate::page::Page;
use crate::person::Kind;
use crate::stack::Stack;
use crate::templates::FLAKY;

#[tokio::test]
#[ignore = "needs Chromium: make test-browser"]
async fn what_the_policy_forbids_is_stopped_and_noticed() {
    let stack = Stack::start().await;
    let mut page = Page::of(&stack).await;

    page.open("/ui").await;
    page.expect_nothing_noticed();
    page.evaluate(
        "document.querySelector('h1').setAttribute('style', 'color: red');
         document.body.append(document.createRange().createContextualFragment('<script>window.ran = true</script>'));",
    )
    .await;
    assert_eq!(page.evaluate("window.ran === undefined").await, true);
    let faults = page.take_faults().join("\n");
    for forbidden in ["style-src", "script-src"] {
        assert!(faults.contains(forbidden), "{forbidden}: {faults}");
    }
    stack.stop().await;
}

#[tokio::test]
#[ignore = "needs Chromium: make test-browser"]
async fn a_form_on_a_page_of_another_site_is_refused() {
    let stack = Stack::start().await;
    let mut page = Page::of(&stack).await;
    stack.apply(FLAKY).await;
    let task = stack.submit("shop/flaky", json!({})).await;
    stack.wait_for_state(&task, "error").await;
    let elsewhere = other_site(&stack.url(&format!("/ui/tasks/{task}/act/cancel")));

    page.open(&elsewhere).await;
    page.click(Kind::Button, "Win a prize").await;
    page.wait_for_text("a page of another site sent this request")
        .await;
    let faults = page.take_faults().join("\n");
    assert!(faults.contains("403"), "{faults}");
    stack.wait_for_state(&task, "error").await;
    stack.stop().await;
}

/// A server on another port, whose one page has a form that sends to this address.
fn other_site(target: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // Another host name, not only another port.
    let address = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    let page = format!(
        "<!doctype html><title>Elsewhere</title><link rel=icon href=data:,>\
         <form method=post action={target}><button>Win a prize</button></form>"
    );
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let _ = connection.read(&mut [0; 4096]);
            let length = page.len();
            let _ = write!(
                connection,
                "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {length}\r\n\
                 connection: close\r\n\r\n{page}"
            );
        }
    });
    address
}
