//! What every page has around its content, and what every answer has in its headers.

use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};
use tasker_shared::ids::TaskUuid;

use super::assets;
use crate::problem::Problem;

/// Nothing from another host, no inline script or style, no frame around a page.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The parts of the interface, as the navigation has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Overview,
    Tasks,
    Templates,
    Processes,
    Queues,
    Channels,
    /// A page that belongs to no part.
    None,
}

impl Section {
    const LISTED: [(Self, &'static str, &'static str); 6] = [
        (Self::Overview, "Overview", "/ui"),
        (Self::Tasks, "Tasks", "/ui/tasks"),
        (Self::Templates, "Templates", "/ui/templates"),
        (Self::Processes, "Processes", "/ui/processes"),
        (Self::Queues, "Queues", "/ui/queues"),
        (Self::Channels, "Channels", "/ui/channels"),
    ];
}

/// What makes a page fetch itself again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Live {
    /// Nothing: it shows what does not change, or a form.
    No,
    /// Anything that happens to any task, and a few seconds.
    Everything,
    /// What happens to one task.
    Task(TaskUuid),
}

/// A page.
pub(crate) struct Page<'a> {
    /// What the browser's tab says, and the heading.
    pub(crate) title: &'a str,
    /// Where it belongs.
    pub(crate) section: Section,
    /// What keeps it current.
    pub(crate) live: Live,
    /// Its content, below the navigation. It begins with the heading `h1`.
    pub(crate) content: Markup,
}

impl IntoResponse for Page<'_> {
    fn into_response(self) -> Response {
        let live = match self.live {
            Live::No => None,
            Live::Everything => Some("/ui/live".to_owned()),
            Live::Task(task_uuid) => Some(format!("/ui/live?task_uuid={task_uuid}")),
        };
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (self.title) " · Tasker" }
                    link rel="icon" type="image/svg+xml" href=(assets::address("icon.svg"));
                    link rel="stylesheet" href=(assets::address("style.css"));
                    script defer src=(assets::address("idiomorph.js")) {}
                    script defer src=(assets::address("ui.js")) {}
                }
                body data-live=[live] {
                    a.skip href="#main" { "Skip to the content" }
                    (navigation(self.section))
                    main #main tabindex="-1" { (self.content) }
                    footer.bottom {
                        span { "Tasker " (env!("CARGO_PKG_VERSION")) }
                        a href="/docs" { "REST API" }
                        span { "Press " kbd { "?" } " for the keys" }
                    }
                    (keys())
                }
            }
        }
        .into_response()
    }
}

fn navigation(section: Section) -> Markup {
    html! {
        header.top {
            a.brand href="/ui" { img src=(assets::address("icon.svg")) alt="" width="22" height="22"; "Tasker" }
            nav aria-label="Parts" {
                @for (one, name, address) in Section::LISTED {
                    a href=(address) aria-current=[(one == section).then_some("page")] { (name) }
                }
            }
            form.search role="search" action="/ui/search" {
                input #search type="search" name="q" placeholder="Task, key or name  /"
                    aria-label="Search: a task's UUID or the first digits of it, an idempotency key, a template's name";
            }
            span #stale.stale role="status" hidden { "not current" }
            button #theme.quiet type="button" hidden aria-label="Switch between light and dark" { "◐" }
        }
    }
}

/// What the keyboard does, shown for `?`.
fn keys() -> Markup {
    let keys = [
        ("/", "search"),
        ("j, k", "next and previous row"),
        ("Enter", "open the row"),
        ("x", "select the row"),
        (
            "g then o, t, m, p, q, c",
            "go to overview, tasks, templates, processes, queues, channels",
        ),
        ("?", "show this"),
        ("Esc", "close this"),
    ];
    html! {
        dialog #keys aria-labelledby="keys-title" {
            h2 #keys-title { "Keyboard" }
            dl.keys {
                @for (key, meaning) in keys {
                    div { dt { kbd { (key) } } dd { (meaning) } }
                }
            }
            form method="dialog" { button { "Close" } }
        }
    }
}

/// Adds the headers, and shows a problem as a page.
pub(crate) async fn frame(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let (mut parts, _) = response.into_parts();
        let page = problem_page(&problem).into_response();
        let (page_parts, body) = page.into_parts();
        parts
            .headers
            .insert(CONTENT_TYPE, page_parts.headers[CONTENT_TYPE].clone());
        response = Response::from_parts(parts, body);
    }
    let headers = response.headers_mut();
    let fixed = [
        (CONTENT_SECURITY_POLICY, CONTENT_POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

fn problem_page(problem: &Problem) -> Page<'static> {
    Page {
        title: problem.title(),
        section: Section::None,
        live: Live::No,
        content: html! {
            h1 { (problem.title()) }
            p.problem { (problem.detail()) }
            @if let Some(hint) = problem.advice() {
                p { (hint) }
            }
            p { a href="/ui" { "Go to the overview" } }
        },
    }
}
