//! The processes that are known.

use maud::html;

use super::frame::{Live, Page, Section};

pub(crate) async fn processes() -> Page<'static> {
    Page {
        title: "Processes",
        section: Section::Processes,
        live: Live::Everything,
        content: html! { h1 { "Processes" } },
    }
}
