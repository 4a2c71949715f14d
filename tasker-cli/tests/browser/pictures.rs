//! Pictures of all pages, for people to look at: `scripts/screenshots.sh`.

use std::env;
use std::path::{Path, PathBuf};

use crate::filled::fill;
use crate::page::Page;
use crate::stack::Stack;
use crate::window::WIDE;

/// Names the folder that the pictures go to.
const FOLDER: &str = "TASKER_PICTURES";

/// What a telephone shows, and a little more.
const TALL: (u32, u32) = (420, 900);

/// Pages that look different before anything has happened.
const EMPTY: [(&str, &str); 6] = [
    ("empty-overview", "/ui"),
    ("empty-tasks", "/ui/tasks"),
    ("empty-bulk-acts", "/ui/bulk"),
    ("empty-templates", "/ui/templates"),
    ("empty-queues", "/ui/queues"),
    ("not-there", "/ui/nothing-there"),
];

#[tokio::test]
#[ignore = "needs Chromium: make screenshots"]
async fn of_all_pages() {
    let Some(folder) = env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let stack = Stack::start().await;
    let mut page = Page::of(&stack).await;

    for (name, address) in EMPTY {
        take(&mut page, &folder, name, address).await;
    }
    for place in fill(&stack).await {
        take(&mut page, &folder, place.name, &place.address).await;
    }

    stack.stop().await;
}

async fn take(page: &mut Page, folder: &Path, name: &str, address: &str) {
    for scheme in ["light", "dark"] {
        page.prefer(scheme).await;
        for size in [WIDE, TALL] {
            page.resize(size).await;
            page.open(address).await;
            let file = format!("{name}-{scheme}-{}.png", size.0);
            page.picture(&folder.join(file)).await;
        }
    }
}
