//! Templates.

use maud::html;

use crate::ui::frame::{Live, Page, Section};

pub(crate) async fn templates() -> Page<'static> {
    Page {
        title: "Templates",
        section: Section::Templates,
        live: Live::Everything,
        content: html! { h1 { "Templates" } },
    }
}
