//! What is recorded of every request: an id, a log line, a metric; and a net for panics.

use std::any::Any;
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tasker_shared::supervisor::panic_message;
use tasker_shared::telemetry::metrics;
use tracing::{Instrument, debug, info_span};
use uuid::Uuid;

use crate::problem::Problem;

/// Names a request in the log and in its answer.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id that is taken over from a client.
const MAX_REQUEST_ID: usize = 128;

/// The route of requests that match none, in metrics.
const UNMATCHED: &str = "unmatched";

/// Gives the request an id, logs and counts its answer.
pub(crate) async fn observe(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(request.headers());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let span = info_span!(
        "request",
        id = id.to_str().unwrap_or_default(),
        %method,
        path = request.uri().path(),
    );
    let mut response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    let route = route.as_ref().map_or(UNMATCHED, MatchedPath::as_str);
    metrics().http_request(method.as_str(), route, status, started.elapsed());
    span.in_scope(|| debug!(status, elapsed = ?started.elapsed(), "answered"));
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// The client's id where it sent a decent one, else a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let is_decent = |id: &&HeaderValue| {
        (1..=MAX_REQUEST_ID).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    if let Some(id) = headers.get(REQUEST_ID).filter(is_decent) {
        return id.clone();
    }
    let id = Uuid::now_v7().to_string();
    HeaderValue::from_str(&id).expect("a uuid is made of letters, digits and hyphens")
}

/// Answers a request whose handler panicked.
#[expect(
    clippy::needless_pass_by_value,
    reason = "this is the signature that the layer calls"
)]
pub(crate) fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let message = panic_message(&*panic);
    Problem::internal(format!("a handler panicked: {message}")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_request_id_is_kept_unless_it_is_indecent() {
        let kept = |id: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_static(id));
            request_id(&headers) == id
        };

        assert!(kept("order-7/attempt-2"));
        assert!(!kept(""));
        assert!(!kept("two words"));
        assert!(!kept(&*"x".repeat(129).leak()));
    }
}
