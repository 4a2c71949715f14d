//! Finds what the search field names.

use maud::html;

use super::frame::{Live, Page, Section};

pub(crate) async fn search() -> Page<'static> {
    Page {
        title: "Tasks",
        section: Section::Tasks,
        live: Live::Everything,
        content: html! { h1 { "Tasks" } },
    }
}
