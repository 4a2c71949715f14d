//! The one form of every error answer: problem details (RFC 9457) that say what is wrong and how
//! to mend it.
//!
//! What the engine refuses is meant for the caller and passed on. What the database says is meant
//! for the reader of the log: it is written there, under the id that the answer carries in
//! `x-request-id`, and never sent.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use serde::Serialize;
use tasker_shared::error::{Error, Refusal, RefusalKind};
use tracing::{error, warn};
use utoipa::openapi::{self, RefOr};
use utoipa::{ToResponse, ToSchema};

/// Media type of every error answer.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// Before every slug in the member `type`.
const TYPE_PREFIX: &str = "urn:tasker:problem:";

/// Seconds after which a client may try again what the server could not take.
const RETRY_AFTER_SECONDS: &str = "1";

/// The sorts of problems; clients tell them apart by the slug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The request cannot be read: a path, a query or a body that is not what it claims to be.
    InvalidRequest,
    /// The named task, step or template does not exist.
    NotFound,
    /// No route has this path.
    UnknownRoute,
    /// The route does not take this method.
    MethodNotAllowed,
    /// The body did not arrive in time.
    BodyTimeout,
    /// A page of another site sent the request.
    CrossSite,
    /// The present state forbids it.
    Conflict,
    /// The body is larger than the server takes.
    BodyTooLarge,
    /// The body's media type is not one that the route reads.
    UnsupportedMediaType,
    /// The request was read and makes no sense.
    InvalidInput,
    /// The template has mistakes.
    InvalidTemplate,
    /// Something broke that should not.
    Internal,
    /// As many requests, bytes of bodies or submissions as allowed are in progress.
    TooManyRequests,
    /// The request was not answered within its time.
    TimedOut,
    /// The database does not serve.
    Unavailable,
}

impl Kind {
    const fn about(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::InvalidRequest => (
                StatusCode::BAD_REQUEST,
                "invalid-request",
                "The request cannot be read",
            ),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "There is no such thing"),
            Self::UnknownRoute => (
                StatusCode::NOT_FOUND,
                "unknown-route",
                "There is no such path",
            ),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "The path does not take this method",
            ),
            Self::BodyTimeout => (
                StatusCode::REQUEST_TIMEOUT,
                "body-timeout",
                "The body did not arrive in time",
            ),
            Self::CrossSite => (
                StatusCode::FORBIDDEN,
                "cross-site",
                "The request came from another site",
            ),
            Self::Conflict => (
                StatusCode::CONFLICT,
                "conflict",
                "The present state forbids it",
            ),
            Self::BodyTooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "body-too-large",
                "The body is too large",
            ),
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "The body has a media type that is not read here",
            ),
            Self::InvalidInput => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid-input",
                "The input is wrong",
            ),
            Self::InvalidTemplate => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid-template",
                "The template has mistakes",
            ),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "The server failed",
            ),
            Self::TooManyRequests => (
                StatusCode::SERVICE_UNAVAILABLE,
                "too-many-requests",
                "Too many requests are in progress",
            ),
            Self::TimedOut => (
                StatusCode::SERVICE_UNAVAILABLE,
                "timed-out",
                "The request was not answered in time",
            ),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "The database does not serve at the moment",
            ),
        }
    }
}

/// What is wrong with a request, as problem details (RFC 9457).
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// Which sort of problem it is; stable, meant for programs.
    #[schema(example = "urn:tasker:problem:not-found")]
    r#type: String,
    /// The sort of problem in words.
    #[schema(example = "There is no such thing")]
    title: &'static str,
    /// The HTTP status again.
    #[schema(example = 404)]
    status: u16,
    /// What is wrong with this request.
    #[schema(example = "there is no template fulfillment/order_fulfilment")]
    detail: String,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// The single mistakes, where the input has places to name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<Mistake>,
    #[serde(skip)]
    #[schema(ignore)]
    kind: Kind,
}

/// One mistake in an input, and where it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Mistake {
    /// The line of the body, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<usize>,
    /// The column in that line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) column: Option<usize>,
    /// The place in the document; empty for the document itself.
    #[schema(example = "steps[2].depends_on")]
    pub(crate) path: String,
    /// What is wrong.
    pub(crate) message: String,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let (status, slug, title) = kind.about();
        Self {
            r#type: format!("{TYPE_PREFIX}{slug}"),
            title,
            status: status.as_u16(),
            detail: detail.into(),
            hint: None,
            errors: Vec::new(),
            kind,
        }
    }

    /// Adds how to mend it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the single mistakes.
    pub(crate) fn errors(mut self, errors: Vec<Mistake>) -> Self {
        self.errors = errors;
        self
    }

    /// The sort of problem in words.
    pub(crate) const fn title(&self) -> &'static str {
        self.title
    }

    /// The HTTP status of the answer.
    pub(crate) const fn status(&self) -> StatusCode {
        self.kind.about().0
    }

    /// What is wrong with this request.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// How to mend it.
    pub(crate) fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// One mistake in the input, at this place.
    pub(crate) fn mistake(path: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::new(Kind::InvalidInput, format!("{path}: {message}")).errors(vec![Mistake {
            path: path.to_owned(),
            message,
            ..Mistake::default()
        }])
    }

    /// An answer that tells nothing but where to look; `cause` goes to the log.
    pub(crate) fn internal(cause: impl std::fmt::Display) -> Self {
        error!(%cause, "a request failed");
        Self::new(
            Kind::Internal,
            "the request failed for a reason that is not in the request",
        )
        .hint("the server's log has the cause under the id in the header x-request-id")
    }

    /// The answer while the database is away.
    fn unavailable(cause: &Error) -> Self {
        warn!(%cause, "a request was not served");
        Self::new(
            Kind::Unavailable,
            "the database did not take or not answer the request",
        )
        .hint("try again; a submission with an idempotency_key is safe to repeat")
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        match error {
            Error::Refused(refusal) => refusal.clone().into(),
            Error::Unavailable { .. } | Error::TimedOut { .. } | Error::Locked { .. } => {
                Self::unavailable(error)
            }
            Error::Schema(_) => {
                error!(%error, "a request was not served");
                Self::new(
                    Kind::Unavailable,
                    "the database does not have the schema of this version",
                )
                .hint("run `tasker migrate`")
            }
            Error::Database(_) | Error::Corrupt(_) | Error::Archive(_) => Self::internal(error),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let kind = match refusal.kind {
            RefusalKind::InvalidInput => Kind::InvalidInput,
            RefusalKind::NotFound => Kind::NotFound,
            RefusalKind::Conflict => Kind::Conflict,
        };
        let mut problem = Self::new(kind, refusal.message);
        problem.hint = refusal.hint;
        problem
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        Error::from(error).into()
    }
}

/// Written out because the derived form repeats the schema instead of naming it.
impl<'r> ToResponse<'r> for Problem {
    fn response() -> (&'r str, RefOr<openapi::Response>) {
        let schema = openapi::Ref::from_schema_name("Problem");
        let response = openapi::ResponseBuilder::new()
            .description(
                "What is wrong and how to mend it. Answers with status 503 carry `Retry-After`.",
            )
            .content(MEDIA_TYPE, openapi::Content::new(Some(schema)))
            .build();
        ("Problem", response.into())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let status = self.status();
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        // The web interface shows it as a page.
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_database_says_is_not_sent() {
        for error in [
            Error::Unavailable {
                message: "host db.internal".to_owned(),
            },
            Error::Database(sqlx::Error::ColumnNotFound("secret".to_owned())),
            Error::Corrupt("secret row".to_owned()),
            Error::Schema("relation \"secret\" does not exist".to_owned()),
        ] {
            let text = serde_json::to_string(&Problem::from(error)).unwrap();
            assert!(
                !text.contains("secret") && !text.contains("db.internal"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_refusal_keeps_its_words() {
        let problem = Problem::from(Error::Refused(Refusal {
            kind: RefusalKind::Conflict,
            message: "step ship is running".to_owned(),
            hint: Some("wait".to_owned()),
        }));

        assert_eq!(problem.status, 409);
        assert_eq!(problem.detail, "step ship is running");
        assert_eq!(problem.hint.as_deref(), Some("wait"));
    }

    #[test]
    fn only_what_may_pass_asks_to_try_again() {
        let retry_after = |kind| {
            let response = Problem::new(kind, "").into_response();
            response.headers().contains_key(RETRY_AFTER)
        };

        assert!(retry_after(Kind::Unavailable) && retry_after(Kind::TooManyRequests));
        assert!(!retry_after(Kind::Internal) && !retry_after(Kind::Conflict));
    }
}
