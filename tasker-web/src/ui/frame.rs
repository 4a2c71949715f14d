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
use super::parts::facts;
use crate::problem::Problem;

/// Nothing from another host, no inline script or style, no frame around a page.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The parts of the interface.
pub(crate) const OVERVIEW: &str = "/ui";
pub(crate) const TASKS: &str = "/ui/tasks";
pub(crate) const TEMPLATES: &str = "/ui/templates";
pub(crate) const PROCESSES: &str = "/ui/processes";
pub(crate) const QUEUES: &str = "/ui/queues";
pub(crate) const CHANNELS: &str = "/ui/channels";

/// The parts as the navigation has them.
const PARTS: [(&str, &str); 6] = [
    ("Overview", OVERVIEW),
    ("Tasks", TASKS),
    ("Templates", TEMPLATES),
    ("Processes", PROCESSES),
    ("Queues", QUEUES),
    ("Channels", CHANNELS),
];

/// A page.
pub(crate) struct Page {
    /// The part that it belongs to.
    part: &'static str,
    /// What the browser's tab says.
    title: String,
    /// What tells that it has to fetch itself again.
    live: Option<String>,
    /// What is below the navigation. It begins with the heading `h1`.
    content: Markup,
}

impl Page {
    /// A page that shows what does not change, or a form.
    pub(crate) fn still(part: &'static str, title: impl Into<String>, content: Markup) -> Self {
        Self {
            part,
            title: title.into(),
            live: None,
            content,
        }
    }

    /// A page that fetches itself again when anything happens to any task, and every few seconds.
    pub(crate) fn live(part: &'static str, title: impl Into<String>, content: Markup) -> Self {
        Self {
            live: Some("/ui/live".to_owned()),
            ..Self::still(part, title, content)
        }
    }

    /// A page that fetches itself again when something happens to this task.
    pub(crate) fn of_task(task_uuid: TaskUuid, title: String, content: Markup) -> Self {
        Self {
            live: Some(format!("/ui/live?task_uuid={task_uuid}")),
            ..Self::still(TASKS, title, content)
        }
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
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
                body data-live=[self.live] {
                    a.skip href="#main" { "Skip to the content" }
                    (navigation(self.part))
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

fn navigation(part: &str) -> Markup {
    html! {
        header.top {
            a.brand href="/ui" { img src=(assets::address("icon.svg")) alt="" width="22" height="22"; "Tasker" }
            nav aria-label="Parts" {
                @for (name, address) in PARTS {
                    a href=(address) aria-current=[(address == part).then_some("page")] { (name) }
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
    html! {
        dialog #keys aria-labelledby="keys-title" {
            h2 #keys-title { "Keyboard" }
            (facts([
                ("/", html! { "search" }),
                ("j, k", html! { "next and previous row" }),
                ("Enter", html! { "open the row" }),
                ("x", html! { "select the row" }),
                ("g then o, t, m, p, q, c", html! { "go to overview, tasks, templates, processes, queues, channels" }),
                ("?", html! { "show this" }),
                ("Esc", html! { "close this" }),
            ]))
            form method="dialog" { button { "Close" } }
        }
    }
}

/// Adds the headers, and shows a problem as a page.
pub(crate) async fn frame(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        *response.body_mut() = problem_page(&problem).into_response().into_body();
        let html = HeaderValue::from_static("text/html; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, html);
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

fn problem_page(problem: &Problem) -> Page {
    let content = html! {
        h1 { (problem.title()) }
        p.problem { (problem.detail()) }
        @if let Some(hint) = problem.advice() {
            p { (hint) }
        }
        p { a href=(OVERVIEW) { "Go to the overview" } }
    };
    Page::still("", problem.title(), content)
}
