//! The queues of all namespaces.

use maud::html;

use super::frame::{Live, Page, Section};

pub(crate) async fn queues() -> Page<'static> {
    Page {
        title: "Queues",
        section: Section::Queues,
        live: Live::Everything,
        content: html! { h1 { "Queues" } },
    }
}
