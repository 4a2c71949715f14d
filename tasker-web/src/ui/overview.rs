//! What runs, fails and waits.

use maud::html;

use super::frame::{Live, Page, Section};

pub(crate) async fn overview() -> Page<'static> {
    Page {
        title: "Overview",
        section: Section::Overview,
        live: Live::Everything,
        content: html! { h1 { "Overview" } },
    }
}
