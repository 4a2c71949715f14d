//! The routes, the layers around them, and the document that describes them.

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, Uri};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::limits::{Limits, admit, deadline};
use crate::observe::{observe, panicked};
use crate::problem::{Kind, Problem};
use crate::state::{Probes, WebState};
use crate::ui::refuse_cross_site;
use crate::{
    bulk, docs, document, events, health, operate, processes, queues, stats, steps, submit, tasks,
    templates, ui, why,
};

/// The whole service.
pub(crate) fn router(state: WebState) -> Router {
    let config = &state.config;
    let limits = Limits {
        requests: Arc::new(Semaphore::new(config.max_concurrent_requests)),
        body_bytes: Arc::new(Semaphore::new(config.max_request_bytes_in_flight)),
        max_body_bytes: config.max_request_bytes,
        body_timeout: config.request_timeout,
    };
    let request_timeout = config.request_timeout;
    let wait_timeout = request_timeout + config.max_wait;
    let requests = api_routes().layer(from_fn_with_state(request_timeout, deadline));
    let waits = wait_routes().layer(from_fn_with_state(wait_timeout, deadline));
    let pages = ui::routes(&limits, request_timeout);
    let bounded = requests
        .merge(waits)
        .layer(from_fn_with_state(limits, admit));
    let unbounded = probe_routes().merge(document_routes());
    let (router, _) = bounded.merge(unbounded).split_for_parts();
    with_net(
        router
            .merge(pages)
            .route("/", get(ui::index))
            .route("/docs", get(async || docs::docs(&openapi()))),
    )
    .with_state(state)
}

/// The probes alone.
pub(crate) fn probes_router(probes: Probes) -> Router {
    let (router, _) = probe_routes::<Probes>().split_for_parts();
    with_net(router).with_state(probes)
}

/// Adds what every route has around it, those included that do not exist.
fn with_net<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router
        .fallback(unknown_route)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn(refuse_cross_site))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(observe))
}

/// The OpenAPI document of the service.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let routes = OpenApiRouter::with_openapi(document::Document::openapi())
        .merge(api_routes())
        .merge(wait_routes())
        .merge(probe_routes())
        .merge(document_routes());
    document::complete(routes.into_openapi())
}

/// Requests that are answered at once.
fn api_routes() -> OpenApiRouter<WebState> {
    OpenApiRouter::new()
        .routes(routes!(
            templates::apply_template,
            templates::list_templates
        ))
        .routes(routes!(templates::show_template))
        .routes(routes!(templates::show_template_version))
        .routes(routes!(submit::submit_task, tasks::list_tasks))
        .routes(routes!(submit::submit_batch))
        .routes(routes!(tasks::task_history))
        .routes(routes!(why::why_task))
        .routes(routes!(bulk::act_on_tasks, bulk::list_acts))
        .routes(routes!(bulk::show_act))
        .routes(routes!(bulk::stop_act))
        .routes(routes!(operate::retry_task))
        .routes(routes!(operate::cancel_task))
        .routes(routes!(operate::resolve_task))
        .routes(routes!(steps::show_step))
        .routes(routes!(operate::retry_step))
        .routes(routes!(operate::skip_step))
        .routes(routes!(operate::resolve_step))
        .routes(routes!(queues::list_queues))
        .routes(routes!(processes::list_processes))
        .routes(routes!(stats::show_stats))
        .routes(routes!(events::stream_events))
}

/// Requests that may wait for a task.
fn wait_routes() -> OpenApiRouter<WebState> {
    OpenApiRouter::new().routes(routes!(tasks::get_task))
}

/// Requests about the process, which are answered however busy it is.
fn probe_routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Probes: FromRef<S>,
{
    OpenApiRouter::new()
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(health::channels))
        .routes(routes!(health::metrics))
}

/// What describes the API.
fn document_routes() -> OpenApiRouter<WebState> {
    OpenApiRouter::new()
        .routes(routes!(templates::template_schema))
        .routes(routes!(openapi_document))
}

/// Show this document
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "documentation",
    responses((
        status = 200,
        body = serde_json::Value,
        content_type = "application/json",
        description = "The OpenAPI document of this API.",
    )),
)]
async fn openapi_document() -> Response {
    match openapi().to_json() {
        Ok(text) => ([(CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => Problem::internal(error).into_response(),
    }
}

async fn unknown_route(uri: Uri) -> Problem {
    let path = uri.path();
    let problem = Problem::new(Kind::UnknownRoute, format!("there is nothing at {path}"));
    if path.len() > 1 && path.ends_with('/') {
        return problem.hint("leave out the slash at the end");
    }
    problem.hint("/openapi.json of the API lists every path")
}

async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    Problem::new(
        Kind::MethodNotAllowed,
        format!("{} does not take {method}", uri.path()),
    )
    .hint("the header allow lists the methods that it takes")
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_problem_that_tells_nothing() {
        async fn broken() -> StatusCode {
            panic!("secret")
        }
        let router: Router = with_net(Router::new().route("/broken", get(broken)));
        let request = Request::get("/broken").body(Body::empty()).unwrap();

        let response = router.oneshot(request).await.unwrap();

        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(response.headers().contains_key("x-request-id"));
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(!String::from_utf8_lossy(&body).contains("secret"));
    }
}
