//! What holds for every page: it can be used by everybody, fits a telephone, and keeps to its policy.

use std::fs;
use std::path::Path;

use crate::filled::{Place, fill};
use crate::page::Page;
use crate::stack::Stack;
use crate::window::NARROW;

/// Pages of a system in which nothing has happened.
const EMPTY: [&str; 8] = [
    "/ui",
    "/ui/tasks",
    "/ui/bulk",
    "/ui/templates",
    "/ui/processes",
    "/ui/queues",
    "/ui/channels",
    "/ui/nothing-there",
];

/// Says what is wrong with a page, in short.
const EXAMINE: &str = "axe.run(document, { resultTypes: ['violations'] }).then((found) => \
    (found.passes.length === 0 ? ['nothing was examined'] : []).concat(found.violations.map((one) => `${one.id}: ${one.help}: ` + \
      one.nodes.slice(0, 3).map((node) => node.html.slice(0, 200)).join(' AND '))))";

/// What is wider than the window, if anything scrolls it.
const TOO_WIDE: &str = "(() => {
    const root = document.documentElement;
    if (root.scrollWidth <= root.clientWidth) return '';
    const wide = [...document.querySelectorAll('main *, header *')].filter((one) =>
      one.getBoundingClientRect().right > root.clientWidth + 1 && !one.closest('.scroll, pre'));
    return `${root.scrollWidth} px: ` + wide.slice(0, 3).map((one) => one.outerHTML.slice(0, 150)).join(' AND ');
  })()";

#[tokio::test]
#[ignore = "needs Chromium: make test-browser"]
async fn no_page_has_a_barrier_that_axe_finds_in_light_or_dark() {
    let stack = Stack::start().await;
    let empty = EMPTY.map(str::to_owned);
    let mut page = Page::of(&stack).await;
    let mut barriers = Vec::new();

    for address in empty {
        barriers.extend(examine(&mut page, &address).await);
    }
    for Place { address, .. } in fill(&stack).await {
        barriers.extend(examine(&mut page, &address).await);
    }

    assert!(barriers.is_empty(), "{}", barriers.join("\n"));
    stack.stop().await;
}

/// What axe finds in light and in dark.
async fn examine(page: &mut Page, address: &str) -> Vec<String> {
    let mut barriers = Vec::new();
    for scheme in ["light", "dark"] {
        page.prefer(scheme).await;
        page.open(address).await;
        page.evaluate(&axe()).await;
        let found = page.evaluate(EXAMINE).await;
        let found = found.as_array().unwrap().iter();
        barriers.extend(found.map(|one| format!("{address} in {scheme}: {one}")));
    }
    barriers
}

/// The source of axe-core.
fn axe() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.browser-tools/axe.min.js");
    fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{}: {error}: run scripts/setup-browser.sh", file.display()))
}

#[tokio::test]
#[ignore = "needs Chromium: make test-browser"]
async fn no_page_scrolls_sideways_on_a_telephone() {
    let stack = Stack::start().await;
    let mut page = Page::of(&stack).await;
    page.resize(NARROW).await;
    let mut wide = Vec::new();

    let filled = fill(&stack).await;
    let addresses = filled.iter().map(|place| place.address.as_str());
    for address in addresses.chain(EMPTY) {
        page.open(address).await;
        let found = page.evaluate(TOO_WIDE).await;
        if found != "" {
            wide.push(format!("{address}: {found}"));
        }
    }

    assert!(wide.is_empty(), "{}", wide.join("\n"));
    stack.stop().await;
}

#[tokio::test]
#[ignore = "needs Chromium: make test-browser"]
async fn every_page_keeps_to_a_policy_without_exceptions_and_its_console_is_empty() {
    let stack = Stack::start().await;
    let mut page = Page::of(&stack).await;

    let mut faults = Vec::new();

    for Place { address, .. } in fill(&stack).await {
        let answer = stack.http.get(stack.url(&address)).send().await.unwrap();
        let policy = answer.headers()["content-security-policy"]
            .to_str()
            .unwrap();
        let loopholes = ["unsafe", "*", "data:", "http"];
        if !policy.starts_with("default-src 'none'")
            || loopholes.iter().any(|loophole| policy.contains(loophole))
        {
            faults.push(format!("{address}: {policy}"));
        }
        page.open(&address).await;
        faults.extend(page.take_faults());
        assert_eq!(page.address().await, address);
    }

    assert!(faults.is_empty(), "{}", faults.join("\n"));
    page.expect_nothing_noticed();
    stack.stop().await;
}
