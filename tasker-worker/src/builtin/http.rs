//! `builtin.http`: one request to a server of the user's.
//!
//! Answers of 5xx, 408 and 429 and connections that fail are retried, after the time that
//! `Retry-After` asks for; other 4xx fail permanently. Whatever may be sent twice carries the
//! step's UUID as `Idempotency-Key`, unless the template sets that header.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, Response, StatusCode};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::outcome::HandlerError;
use crate::step::Step;

/// Largest body of an answer. It becomes part of the step's result, which has a limit of its own.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// How much of a refusal's body goes into the error.
const BODY_IN_ERROR_BYTES: usize = 2048;

/// Longest delay that a server may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    #[serde(default = "get")]
    method: String,
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// A text is sent as it is, anything else as JSON.
    body: Option<Value>,
}

fn get() -> String {
    Method::GET.to_string()
}

/// Sends the request and returns `{status, headers, body}`.
pub(super) async fn request(step: Step<Value, Request>) -> Result<Value, HandlerError> {
    let method = Method::from_bytes(step.input.method.to_ascii_uppercase().as_bytes())
        .map_err(|_| invalid(format_args!("method {:?}", step.input.method)))?;
    let mut headers = HeaderMap::new();
    if !method.is_safe() {
        let key = HeaderValue::from_str(&step.step_uuid().to_string());
        headers.extend(key.map(|key| (IDEMPOTENCY_KEY, key)));
    }
    for (name, value) in &step.input.headers {
        let parsed = HeaderName::from_bytes(name.as_bytes())
            .ok()
            .zip(HeaderValue::from_str(value).ok());
        let (name, value) = parsed.ok_or_else(|| invalid(format_args!("header {name:?}")))?;
        headers.insert(name, value);
    }
    let mut request = client()?
        .request(method, &step.input.url)
        .timeout(step.timeout());
    request = match &step.input.body {
        None => request,
        Some(Value::String(text)) => request.body(text.clone()),
        Some(body) => {
            headers
                .entry(CONTENT_TYPE)
                .or_insert(HeaderValue::from_static("application/json"));
            request.body(body.to_string())
        }
    };
    let response = request.headers(headers).send().await.map_err(not_sent)?;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = read(response).await?;
    if status.is_client_error() || status.is_server_error() {
        return Err(refused(status, &headers, &body));
    }
    Ok(json!({
        "status": status.as_u16(),
        "headers": readable(&headers),
        "body": parsed(&headers, &body),
    }))
}

fn invalid(what: impl std::fmt::Display) -> HandlerError {
    HandlerError::fail(format_args!("builtin.http cannot send this {what}")).kind("invalid_input")
}

/// One client for all requests of the process: it keeps connections.
fn client() -> Result<&'static Client, HandlerError> {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    if let Some(client) = CLIENT.get() {
        return Ok(client);
    }
    let client = Client::builder()
        .tls_backend_preconfigured(tls()?)
        .user_agent(concat!("tasker/", env!("CARGO_PKG_VERSION")))
        .build()?;
    Ok(CLIENT.get_or_init(|| client))
}

/// Trusts the system's certificates, for servers inside of a company, and the public ones, for
/// containers that have none.
fn tls() -> Result<ClientConfig, HandlerError> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = rustls::crypto::ring::default_provider();
    Ok(ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// A request without an answer. The URL stays out of the text: it may hold a token.
fn not_sent(error: reqwest::Error) -> HandlerError {
    let for_good = error.is_builder() || error.is_redirect();
    let text = format!("{:#}", anyhow::Error::new(error.without_url()));
    if for_good {
        return HandlerError::fail(text).kind("invalid_input");
    }
    HandlerError::retry(text).kind("http_unreachable")
}

/// The body, up to its limit.
async fn read(mut response: Response) -> Result<Vec<u8>, HandlerError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(not_sent)? {
        if body.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(HandlerError::fail(format_args!(
                "the answer is larger than {MAX_BODY_BYTES} bytes"
            ))
            .kind("result_too_large"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The error that an answer of 4xx or 5xx stands for.
fn refused(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> HandlerError {
    let text = format!("the server answered {status}");
    let may_pass = status.is_server_error()
        || matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
        );
    let mut error = if may_pass {
        HandlerError::retry(text)
    } else {
        HandlerError::fail(text)
    };
    if let Some(delay) = retry_after(headers, Utc::now()) {
        error = error.after(delay);
    }
    let excerpt = String::from_utf8_lossy(&body[..body.len().min(BODY_IN_ERROR_BYTES)]);
    error.kind("http_status").details(json!({
        "status": status.as_u16(),
        "body": excerpt.replace('\0', "\u{fffd}"),
    }))
}

/// What `Retry-After` asks for, in seconds or as a date.
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let delay = if let Ok(seconds) = text.parse() {
        Duration::from_secs(seconds)
    } else {
        let date = DateTime::parse_from_rfc2822(text).ok()?;
        (date.to_utc() - now).to_std().unwrap_or_default()
    };
    Some(delay.min(MAX_RETRY_AFTER))
}

fn readable(headers: &HeaderMap) -> BTreeMap<&str, String> {
    let mut readable = BTreeMap::<_, String>::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        readable
            .entry(name.as_str())
            .and_modify(|all| all.extend([", ", &*value]))
            .or_insert_with(|| value.clone().into_owned());
    }
    readable
}

/// JSON where the server says so and it is, else text.
fn parsed(headers: &HeaderMap, body: &[u8]) -> Value {
    let text = || Value::String(String::from_utf8_lossy(body).into_owned());
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media_type = content_type.map(|text| text.split(';').next().unwrap_or(text).trim());
    let is_json = media_type.is_some_and(|it| it.ends_with("/json") || it.ends_with("+json"));
    if is_json {
        serde_json::from_slice(body).unwrap_or_else(|_| text())
    } else {
        text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date_and_bounded() {
        let now = DateTime::parse_from_rfc3339("2030-05-01T12:00:00Z").unwrap();
        let asked = |value| retry_after(&headers(RETRY_AFTER, value), now.to_utc());

        assert_eq!(asked("7"), Some(Duration::from_secs(7)));
        assert_eq!(
            asked("Wed, 01 May 2030 12:00:30 GMT"),
            Some(Duration::from_secs(30))
        );
        assert_eq!(asked("Wed, 01 May 2030 11:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(asked("99999999999"), Some(MAX_RETRY_AFTER));
        assert_eq!(asked("soon"), None);
    }

    #[test]
    fn what_may_pass_is_retried_and_the_rest_is_not() {
        for (status, retried) in [
            (500, true),
            (503, true),
            (429, true),
            (408, true),
            (400, false),
            (404, false),
            (422, false),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let error = refused(status, &HeaderMap::new(), b"");
            assert_eq!(error.is_retryable(), retried, "{status}");
        }
    }

    #[test]
    fn a_body_is_json_where_the_server_says_so_and_it_is() {
        let json = headers(CONTENT_TYPE, "application/problem+json; charset=utf-8");
        let html = headers(CONTENT_TYPE, "text/html");

        assert_eq!(parsed(&json, b"[1]"), json!([1]));
        assert_eq!(parsed(&json, b"[1"), json!("[1"));
        assert_eq!(parsed(&html, b"[1]"), json!("[1]"));
        assert_eq!(parsed(&HeaderMap::new(), b"\xff"), json!("\u{fffd}"));
    }

    #[tokio::test]
    async fn what_cannot_be_sent_at_all_fails_for_good() {
        for input in [
            json!({ "url": "not a url" }),
            json!({ "url": "ftp://host/" }),
            json!({ "url": "http://host/", "method": "G T" }),
            json!({ "url": "http://host/", "headers": { "a b": "c" } }),
        ] {
            let step = Step::detached(Value::Null, input.clone()).typed().unwrap();
            let error = request(step).await.unwrap_err();
            assert!(!error.is_retryable(), "{input}: {error}");
        }
    }

    #[test]
    fn a_client_can_be_made_where_no_tls_provider_was_installed() {
        assert!(client().is_ok());
    }
}
