//! Forms: read, and refused where they come from another site.

use axum::extract::{FromRequest, Request};
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

use crate::extract::{body_bytes, media_type, refuse_unstorable, unsupported};
use crate::problem::{Kind, Problem};
use crate::state::WebState;

/// What a form sends.
const FORM: &str = "application/x-www-form-urlencoded";

/// The fields of a form. One that is left empty arrives as an empty text.
#[derive(Debug)]
pub(crate) struct FormBody<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<WebState> for FormBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &WebState) -> Result<Self, Problem> {
        let media_type = media_type(request.headers());
        if media_type.as_deref() != Some(FORM) {
            return Err(unsupported(media_type.as_deref(), FORM));
        }
        let bytes = body_bytes(request).await?;
        refuse_unstorable(&String::from_utf8_lossy(&bytes), "the form")?;
        serde_html_form::from_bytes(&bytes)
            .map(Self)
            .map_err(|error| {
                let detail = format!("the form cannot be read: {error}");
                Problem::new(Kind::InvalidRequest, detail)
            })
    }
}

/// Refuses requests that a page of another site makes in a visitor's browser. They reach a server that
/// only the visitor can reach, with all that the visitor may do.
pub(crate) async fn refuse_cross_site(request: Request, next: Next) -> Response {
    let reads = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    if reads || is_same_site(request.headers()) {
        return next.run(request).await;
    }
    Problem::new(Kind::CrossSite, "a page of another site sent this request")
        .hint("open the interface itself, and act there; programs send no header `origin`")
        .into_response()
}

/// Whether the request comes from a page of this server or from no page. Browsers say it in
/// `Sec-Fetch-Site`, and over plain HTTP from other machines in `Origin` alone.
fn is_same_site(headers: &HeaderMap) -> bool {
    let text = |name: &str| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap_or_default())
    };
    if let Some(site) = text("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    let Some(origin) = text(ORIGIN.as_str()) else {
        return true;
    };
    let host = origin.split_once("://").map(|(_, host)| host);
    host.is_some() && (host == text(HOST.as_str()) || host == text("x-forwarded-host"))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    fn same_site(headers: &[(&'static str, &'static str)]) -> bool {
        let headers = headers.iter().map(|(name, value)| {
            let value = value.parse().expect("the test names a value");
            (HeaderName::from_static(name), value)
        });
        is_same_site(&headers.collect())
    }

    #[test]
    fn only_pages_of_this_server_may_send_requests() {
        assert!(same_site(&[]));
        assert!(same_site(&[("host", "a:1"), ("origin", "http://a:1")]));
        assert!(same_site(&[
            ("origin", "null"),
            ("sec-fetch-site", "same-origin")
        ]));
        assert!(same_site(&[
            ("host", "inside:1"),
            ("x-forwarded-host", "tasker.example"),
            ("origin", "https://tasker.example"),
        ]));
        assert!(!same_site(&[("host", "a:1"), ("origin", "http://b:1")]));
        assert!(!same_site(&[("host", "a:1"), ("origin", "null")]));
        assert!(!same_site(&[("sec-fetch-site", "cross-site")]));
        assert!(!same_site(&[("sec-fetch-site", "same-site")]));
        assert!(!same_site(&[("origin", "a:1"), ("host", "a:1")]));
    }
}
