//! The bounds of requests: how many at once, how large alone and together, how long.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::{CONNECTION, CONTENT_LENGTH};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::problem::{Kind, Problem};

/// The bounds of one server.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// One permit for each request that may be in progress.
    pub(crate) requests: Arc<Semaphore>,
    /// One permit for each byte that the bodies of requests in progress may have together.
    pub(crate) body_bytes: Arc<Semaphore>,
    /// Largest body.
    pub(crate) max_body_bytes: usize,
    /// How long a body may take to arrive.
    pub(crate) body_timeout: Duration,
}

/// What a request's body takes of [`Limits::body_bytes`] until the last clone is gone: for work that
/// may outlive its request.
#[derive(Debug, Clone)]
pub(crate) struct BodyShare {
    _permit: Arc<OwnedSemaphorePermit>,
}

/// Lets a request in where there is room for it, and receives its body.
///
/// The body is received here, so that its time is not taken from the handler's and a client that
/// sends slowly is told so.
pub(crate) async fn admit(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    let Ok(_permit) = limits.requests.try_acquire() else {
        let problem = Problem::new(
            Kind::TooManyRequests,
            "as many requests are in progress as this server takes",
        )
        .hint("try again; web.max_concurrent_requests is the limit");
        if request.body().is_end_stream() {
            return problem.into_response();
        }
        return closing(problem);
    };
    match receive(request, &limits).await {
        Ok((mut request, share)) => {
            request.extensions_mut().insert(share.clone());
            let response = next.run(request).await;
            drop(share);
            response
        }
        Err(problem) => closing(problem),
    }
}

/// An answer to a request whose body may not have been received to its end. The server closes such a
/// connection, and says so: a client that used it again would not know what became of its request.
fn closing(problem: Problem) -> Response {
    let mut response = problem.into_response();
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response
}

async fn receive(request: Request, limits: &Limits) -> Result<(Request, BodyShare), Problem> {
    let (parts, body) = request.into_parts();
    let declared = parts.headers.get(CONTENT_LENGTH);
    let declared = declared.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > limits.max_body_bytes) {
        return Err(too_large(limits.max_body_bytes));
    }
    if declared.is_some_and(|length| length > limits.body_bytes.available_permits()) {
        return Err(too_many_bytes());
    }
    let Ok(received) = timeout(limits.body_timeout, collect(body, limits)).await else {
        let detail = format!("the body did not arrive within {:?}", limits.body_timeout);
        return Err(Problem::new(Kind::BodyTimeout, detail));
    };
    let (bytes, share) = received?;
    Ok((Request::from_parts(parts, Body::from(bytes)), share))
}

/// Takes its share of the bytes in flight as they arrive: who promises much and sends little keeps
/// nobody out.
async fn collect(body: Body, limits: &Limits) -> Result<(Vec<u8>, BodyShare), Problem> {
    let take = |bytes: usize| {
        let bytes = u32::try_from(bytes).map_err(|_| too_many_bytes())?;
        let permits = Arc::clone(&limits.body_bytes).try_acquire_many_owned(bytes);
        permits.map_err(|_| too_many_bytes())
    };
    let mut body = Limited::new(body, limits.max_body_bytes);
    let mut bytes = Vec::new();
    let mut permit = take(0)?;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            if error.is::<LengthLimitError>() {
                return too_large(limits.max_body_bytes);
            }
            Problem::new(Kind::InvalidRequest, "the body broke off before its end")
        })?;
        if let Ok(data) = frame.into_data() {
            permit.merge(take(data.len())?);
            bytes.extend_from_slice(&data);
        }
    }
    let share = BodyShare {
        _permit: Arc::new(permit),
    };
    Ok((bytes, share))
}

fn too_many_bytes() -> Problem {
    Problem::new(
        Kind::TooManyRequests,
        "the bodies of the requests in progress have as many bytes as this server takes",
    )
    .hint("try again; web.max_request_bytes_in_flight is the limit")
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
