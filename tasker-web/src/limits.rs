//! The bounds of requests: how many at once, how large, how long.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::problem::{Kind, Problem};

/// The bounds of one server.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// One permit for each request that may be in progress.
    pub(crate) requests: Arc<Semaphore>,
    /// Largest body.
    pub(crate) max_body_bytes: usize,
    /// How long a body may take to arrive.
    pub(crate) body_timeout: Duration,
}

/// Lets a request in where there is room for it, and receives its body.
///
/// The body is received here, so that its time is not taken from the handler's and a client that
/// sends slowly is told so.
pub(crate) async fn admit(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    let Ok(_permit) = limits.requests.try_acquire() else {
        return Problem::new(
            Kind::TooManyRequests,
            "as many requests are in progress as this server takes",
        )
        .hint("try again; web.max_concurrent_requests is the limit")
        .into_response();
    };
    match receive(request, &limits).await {
        Ok(request) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn receive(request: Request, limits: &Limits) -> Result<Request, Problem> {
    let (parts, body) = request.into_parts();
    let declared = parts.headers.get(CONTENT_LENGTH);
    let declared = declared.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > limits.max_body_bytes) {
        return Err(too_large(limits.max_body_bytes));
    }
    let body = Limited::new(body, limits.max_body_bytes);
    let bytes: Bytes = match timeout(limits.body_timeout, body.collect()).await {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return Err(too_large(limits.max_body_bytes));
        }
        Ok(Err(_)) => {
            return Err(Problem::new(
                Kind::InvalidRequest,
                "the body broke off before its end",
            ));
        }
        Err(_) => {
            let detail = format!("the body did not arrive within {:?}", limits.body_timeout);
            return Err(Problem::new(Kind::BodyTimeout, detail));
        }
    };
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

fn too_large(limit: usize) -> Problem {
    Problem::new(
        Kind::BodyTooLarge,
        format!("the body has more than {limit} bytes"),
    )
    .hint("send less at once; web.max_request_bytes is the limit")
}

/// Ends a request that takes too long.
pub(crate) async fn deadline(
    State(deadline): State<Duration>,
    request: Request,
    next: Next,
) -> Response {
    match timeout(deadline, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(
            Kind::TimedOut,
            format!("the request was not answered within {deadline:?}; what it did is unknown"),
        )
        .hint("look before you try again; a submission with an idempotency_key is safe to repeat")
        .into_response(),
    }
}
