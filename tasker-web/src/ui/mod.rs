//! The web interface under `/ui`: pages for people, drawn by the server.
//!
//! Every page is complete HTML and works without a script. With one, what it shows is kept current:
//! the page hears that something changed, fetches itself again and replaces what differs. It calls what
//! the REST API calls, and shows what the API answers; it has no state of its own.

mod assets;
mod bulk;
mod channels;
mod confirm;
mod fields;
mod filter;
mod forms;
mod frame;
mod live;
mod looks;
mod overview;
mod parts;
mod plots;
mod prelude;
mod processes;
mod queues;
mod search;
mod shared_pages;
mod task;
mod tasks;
mod templates;
mod troubles;

use std::time::Duration;

use axum::Router;
use axum::http::Uri;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Redirect;
use axum::routing::{get, post};

use crate::limits::{Limits, admit, deadline};
use crate::problem::{Kind, Problem};
use crate::state::WebState;

use frame::frame;
use shared_pages::{SharedPages, share};

pub(crate) use forms::refuse_cross_site;
pub(crate) use live::LivePages;
pub(crate) use looks::Looks;

/// The pages, and what they are made of.
pub(crate) fn routes(limits: &Limits, request_timeout: Duration) -> Router<WebState> {
    let bounded = |routes: Router<WebState>| {
        routes
            .layer(from_fn_with_state(request_timeout, deadline))
            .layer(from_fn_with_state(limits.clone(), admit))
    };
    // Pages that wait for their turn to be drawn again take no place of those who ask for something.
    let kept_current =
        bounded(shown_routes()).layer(from_fn_with_state(SharedPages::default(), share));
    bounded(template_routes().route("/ui/live", get(live::stream_changes)))
        .merge(kept_current)
        .route("/ui/assets/{version}/{file}", get(assets::asset))
        .route("/ui/{*rest}", get(unknown_page))
        .layer(from_fn(frame))
}

/// What runs, waits and fails, and what an operator does about it.
fn shown_routes() -> Router<WebState> {
    Router::new()
        .route("/ui", get(overview::overview))
        .route("/ui/processes", get(processes::processes))
        .route("/ui/queues", get(queues::queues))
        .route("/ui/channels", get(channels::channels))
        .route("/ui/tasks", get(tasks::tasks))
        .route("/ui/search", get(search::search))
        .route("/ui/bulk", get(bulk::acts).post(bulk::begin))
        .route(
            "/ui/bulk/new",
            get(bulk::confirm_matching).post(bulk::confirm_selected),
        )
        .route("/ui/bulk/{bulk_uuid}", get(bulk::act))
        .route("/ui/bulk/{bulk_uuid}/stop", post(bulk::stop))
        .route("/ui/templates", get(templates::templates))
        .merge(task::routes())
}

/// The pages of one template.
fn template_routes() -> Router<WebState> {
    const TEMPLATE: &str = "/ui/templates/{namespace}/{name}";
    let submission = get(templates::show_form).post(templates::submit);
    Router::new()
        .route(TEMPLATE, get(templates::template))
        .route(&format!("{TEMPLATE}/compare"), get(templates::compare))
        .route(&format!("{TEMPLATE}/submit"), submission)
        .route(&format!("{TEMPLATE}/{{version}}"), get(templates::template))
}

/// Sends those who open the server in a browser to the first page.
pub(crate) async fn index() -> Redirect {
    Redirect::to("/ui")
}

async fn unknown_page(uri: Uri) -> Problem {
    let path = uri.path();
    Problem::new(Kind::UnknownRoute, format!("there is no page at {path}"))
}
