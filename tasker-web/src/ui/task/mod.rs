//! A task.

use maud::html;

use crate::ui::frame::{Live, Page, Section};

pub(crate) async fn task() -> Page<'static> {
    Page {
        title: "Tasks",
        section: Section::Tasks,
        live: Live::Everything,
        content: html! { h1 { "Tasks" } },
    }
}
