//! What is done to many tasks at once.

use maud::html;

use super::frame::{Live, Page, Section};

pub(crate) async fn acts() -> Page<'static> {
    Page {
        title: "Tasks",
        section: Section::Tasks,
        live: Live::Everything,
        content: html! { h1 { "Tasks" } },
    }
}
