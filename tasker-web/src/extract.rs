//! Requests read into types, with refusals that name the place of the mistake.
//!
//! axum's own extractors answer in plain text and do not say where in the body a mistake is. These
//! read the same things and refuse with a [`Problem`].

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri};
use http_body_util::BodyExt;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use tasker_shared::namespace;

use crate::object::Object;
use crate::problem::{Kind, Mistake, Problem};
use crate::state::WebState;

/// A JSON body.
#[derive(Debug)]
pub(crate) struct JsonBody<T>(pub(crate) T);

/// A JSON body that may be left out; then it is `T::default()`.
#[derive(Debug)]
pub(crate) struct OptionalJsonBody<T>(pub(crate) T);

/// The query of the request.
#[derive(Debug)]
pub(crate) struct Params<T>(pub(crate) T);

/// No query: where a route takes no parameters, none is ignored.
#[derive(Debug)]
pub(crate) struct NoParams;

/// The variable parts of the path.
#[derive(Debug)]
pub(crate) struct PathParts<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<WebState> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &WebState) -> Result<Self, Problem> {
        let media_type = media_type(request.headers());
        let bytes = body_bytes(request).await?;
        expect_json(media_type.as_deref())?;
        parse_json(&bytes).map(Self)
    }
}

impl<T: DeserializeOwned + Default> FromRequest<WebState> for OptionalJsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &WebState) -> Result<Self, Problem> {
        let media_type = media_type(request.headers());
        let bytes = body_bytes(request).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        expect_json(media_type.as_deref())?;
        parse_json(&bytes).map(Self)
    }
}

impl<T: DeserializeOwned> FromRequestParts<WebState> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &WebState) -> Result<Self, Problem> {
        parse_query(&parts.uri).map(Self)
    }
}

impl<S: Sync> FromRequestParts<S> for NoParams {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        if parts.uri.query().is_none_or(str::is_empty) {
            return Ok(Self);
        }
        Err(Problem::new(
            Kind::InvalidRequest,
            "the query cannot be read: there are no parameters here",
        )
        .hint("leave out what follows the question mark"))
    }
}

impl<T: DeserializeOwned + Send> FromRequestParts<WebState> for PathParts<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, Problem> {
        refuse_unstorable(parts.uri.path(), "the path")?;
        let Path(value) = Path::from_request_parts(parts, state)
            .await
            .map_err(|rejection| Problem::new(Kind::InvalidRequest, rejection.body_text()))?;
        Ok(Self(value))
    }
}

/// The body, which [`crate::limits::admit`] has bounded and received.
pub(crate) async fn body_bytes(request: Request) -> Result<axum::body::Bytes, Problem> {
    match request.into_body().collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) => Err(Problem::new(Kind::InvalidRequest, error.to_string())),
    }
}

/// The media type of the body in lower case, without parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let essence = value.split(';').next()?.trim();
    Some(essence.to_ascii_lowercase())
}

/// A refusal of a media type; `expected` says what is read instead.
pub(crate) fn unsupported(media_type: Option<&str>, expected: &str) -> Problem {
    let detail = match media_type {
        Some(media_type) => format!("the body is declared as {media_type}"),
        None => "the request does not say what its body is".to_owned(),
    };
    Problem::new(Kind::UnsupportedMediaType, detail)
        .hint(format!("send the header content-type: {expected}"))
}

fn expect_json(media_type: Option<&str>) -> Result<(), Problem> {
    let is_json = |name: &str| {
        name == "application/json" || name.starts_with("application/") && name.ends_with("+json")
    };
    if media_type.is_some_and(is_json) {
        return Ok(());
    }
    Err(unsupported(media_type, "application/json"))
}

/// Reads a JSON object; a mistake is refused with its path, line and column.
fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    if bytes.is_empty() {
        return Err(
            Problem::new(Kind::InvalidRequest, "the body is empty").hint("send a JSON object")
        );
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let Object(value) = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| json_problem(&error.path().to_string(), error.inner()))?;
    deserializer
        .end()
        .map_err(|error| json_problem("", &error))?;
    Ok(value)
}

fn json_problem(path: &str, error: &serde_json::Error) -> Problem {
    let position = format!(" at line {} column {}", error.line(), error.column());
    let text = error.to_string();
    let message = text.strip_suffix(&position).unwrap_or(&text);
    // The path of the document itself is ".", or "?" where it breaks off.
    let path = if path == "?" { "" } else { path };
    let path = path.trim_start_matches('.');
    let (kind, detail) = match error.classify() {
        Category::Data if path.is_empty() => (Kind::InvalidInput, message.to_owned()),
        Category::Data => (Kind::InvalidInput, format!("{path}: {message}")),
        _ => (
            Kind::InvalidRequest,
            format!("the body is not JSON: {message}{position}"),
        ),
    };
    Problem::new(kind, detail).errors(vec![Mistake {
        line: Some(error.line()),
        column: Some(error.column()),
        path: path.to_owned(),
        message: message.to_owned(),
        hint: None,
    }])
}

/// Takes the parameter that may be repeated out of a query: what is left, and its values.
pub(crate) fn take_repeated(uri: &Uri, name: &str) -> Result<(Uri, Vec<String>), Problem> {
    let query = uri.query().unwrap_or_default().split('&');
    let is_repeated = |part: &&str| part.split('=').next() == Some(name);
    let (repeated, others): (Vec<&str>, Vec<&str>) = query.partition(is_repeated);
    let values: Vec<(String, String)> = parse_query(&with_query(&repeated))?;
    let values = values.into_iter().map(|(_, value)| value).collect();
    Ok((with_query(&others), values))
}

fn with_query(parts: &[&str]) -> Uri {
    let text = format!("/?{}", parts.join("&"));
    text.parse().expect("parts of a query make a query")
}

pub(crate) fn parse_query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Problem> {
    refuse_unstorable(uri.query().unwrap_or_default(), "the query")?;
    let Query(value) = Query::try_from_uri(uri).map_err(|rejection| {
        let text = rejection.body_text();
        let reason = text.strip_prefix("Failed to deserialize query string: ");
        Problem::new(
            Kind::InvalidRequest,
            format!("the query cannot be read: {}", reason.unwrap_or(&text)),
        )
    })?;
    Ok(value)
}

/// Reads the namespace that a parameter restricts an answer to. One that is not there yet may come.
pub(crate) fn namespace<'de, D: Deserializer<'de>>(text: D) -> Result<Option<String>, D::Error> {
    let name = String::deserialize(text)?;
    namespace::check(&name).map_err(D::Error::custom)?;
    Ok(Some(name))
}

/// Reads the name that a parameter restricts an answer to.
pub(crate) fn name<'de, D: Deserializer<'de>>(text: D) -> Result<Option<String>, D::Error> {
    let name = String::deserialize(text)?;
    if name.is_empty() {
        return Err(D::Error::custom("expected a name, found nothing"));
    }
    Ok(Some(name))
}

/// Reads a text that a parameter restricts an answer to.
pub(crate) fn some_text<'de, D: Deserializer<'de>>(text: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(text)?;
    if text.is_empty() {
        return Err(D::Error::custom("expected a text, found nothing"));
    }
    Ok(Some(text))
}

/// Refuses the one character that PostgreSQL cannot store, in its only form in a URL.
pub(crate) fn refuse_unstorable(encoded: &str, place: &str) -> Result<(), Problem> {
    if encoded.contains("%00") {
        return Err(Problem::new(
            Kind::InvalidRequest,
            format!("{place} contains %00, which no name contains"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use serde::Deserialize;
    use serde_json::Value;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        #[expect(dead_code, reason = "read for its mistakes only")]
        lines: Vec<Line>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line {
        #[expect(dead_code, reason = "read for its mistakes only")]
        amount: i32,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Page {
        #[expect(dead_code, reason = "read for its mistakes only")]
        limit: Option<String>,
    }

    fn refusal(body: &str) -> Value {
        serde_json::to_value(parse_json::<Order>(body.as_bytes()).unwrap_err()).unwrap()
    }

    #[test]
    fn a_mistake_in_a_body_is_named_with_its_place() {
        let problem = refusal("{\"lines\": [{\"amount\": 1},\n {\"amount\": \"two\"}]}");

        assert_eq!(problem["status"], 422);
        assert_eq!(problem["errors"][0]["path"], "lines[1].amount");
        assert_eq!(problem["errors"][0]["line"], 2);
        assert_eq!(
            problem["errors"][0]["message"],
            "invalid type: string \"two\", expected i32"
        );
    }

    #[test]
    fn an_unknown_field_is_refused_by_name() {
        let problem = refusal(r#"{"lines": [{"amount": 1, "colour": 2}]}"#);

        assert_eq!(problem["status"], 422);
        assert_eq!(problem["errors"][0]["path"], "lines[0].colour");
        assert_eq!(
            problem["errors"][0]["message"],
            "unknown field `colour`, expected `amount`"
        );
    }

    #[test]
    fn what_is_not_an_object_is_refused_in_words_of_json() {
        for (body, found) in [
            ("[[]]", "sequence"),
            ("\"text\"", "string \"text\""),
            ("null", "null"),
            ("1", "integer `1`"),
        ] {
            let problem = refusal(body);
            assert_eq!(problem["status"], 422, "{body}");
            assert_eq!(
                problem["detail"],
                format!("invalid type: {found}, expected a JSON object")
            );
        }
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_position() {
        for body in [
            "",
            "{",
            "{\"lines\": []} trailing",
            "\u{feff}{}",
            "nonsense",
        ] {
            assert_eq!(refusal(body)["status"], 400, "{body:?}");
        }
        assert_eq!(refusal("{\n  \"lines\": [,]}")["errors"][0]["line"], 2);
        assert_eq!(refusal("{")["errors"][0]["path"], "");
    }

    #[test]
    fn an_unknown_parameter_is_refused_by_name() {
        let uri = Uri::from_static("/v1/tasks?limit=1&page=2");
        let problem = serde_json::to_value(parse_query::<Page>(&uri).unwrap_err()).unwrap();

        assert_eq!(problem["status"], 400);
        assert_eq!(
            problem["detail"],
            "the query cannot be read: page: unknown field `page`, expected `limit`"
        );
    }

    #[test]
    fn a_parameter_that_may_be_repeated_is_taken_out_of_the_query() {
        let uri = Uri::from_static("/v1/tasks?where=a%3D1&limit=1&where=b^=%26+c&wherever=2");
        let (others, values) = take_repeated(&uri, "where").unwrap();
        assert_eq!(others.query(), Some("limit=1&wherever=2"));
        assert_eq!(values, ["a=1", "b^=& c"]);
        let (others, values) = take_repeated(&Uri::from_static("/v1/tasks"), "where").unwrap();
        parse_query::<Page>(&others).unwrap();
        assert!(values.is_empty());
    }

    #[test]
    fn parameters_of_a_media_type_do_not_matter() {
        let mut headers = HeaderMap::new();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("Application/JSON; charset=utf-8"),
        );

        expect_json(media_type(&headers).as_deref()).unwrap();
        expect_json(Some("application/merge-patch+json")).unwrap();
        expect_json(Some("text/plain")).unwrap_err();
        expect_json(None).unwrap_err();
    }
}
