//! Tasks, listed.

use maud::html;

use super::frame::{Live, Page, Section};

pub(crate) async fn tasks() -> Page<'static> {
    Page {
        title: "Tasks",
        section: Section::Tasks,
        live: Live::Everything,
        content: html! { h1 { "Tasks" } },
    }
}
