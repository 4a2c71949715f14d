//! The channels of this process.

use maud::html;

use super::frame::{Live, Page, Section};

pub(crate) async fn channels() -> Page<'static> {
    Page {
        title: "Channels",
        section: Section::Channels,
        live: Live::Everything,
        content: html! { h1 { "Channels" } },
    }
}
