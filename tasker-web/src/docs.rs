//! A page for people that shows the OpenAPI document: one file, no script, nothing fetched.

use std::fmt::Write;

use axum::response::Html;
use serde_json::Value;
use utoipa::openapi::OpenApi;

/// The frame of the page; `{title}`, `{description}` and `{operations}` are filled in.
const PAGE: &str = include_str!("docs.html");

/// Shows every operation of an OpenAPI document.
pub(crate) fn docs(openapi: &OpenApi) -> Html<String> {
    let document = serde_json::to_value(openapi).unwrap_or_default();
    Html(page(&document))
}

fn page(document: &Value) -> String {
    let mut operations = String::new();
    for tag in items(&document["tags"]) {
        // Writing to a string does not fail.
        let _ = write!(
            operations,
            "<h2>{}</h2>\n<p>{}</p>\n",
            text(&tag["name"]),
            text(&tag["description"])
        );
        for (path, methods) in members(&document["paths"]) {
            for (method, operation) in members(methods) {
                if items(&operation["tags"]).contains(&tag["name"]) {
                    operations.push_str(&section(document, path, method, operation));
                }
            }
        }
    }
    PAGE.replace("{title}", &text(&document["info"]["title"]))
        .replace("{description}", &text(&document["info"]["description"]))
        .replace("{operations}", &operations)
}

fn section(document: &Value, path: &str, method: &str, operation: &Value) -> String {
    let mut section = format!(
        "<details>\n<summary><code><b>{}</b> {}</code> {}</summary>\n<p>{}</p>\n",
        escape(&method.to_uppercase()),
        escape(path),
        text(&operation["summary"]),
        text(&operation["description"])
    );
    let parameters = items(&operation["parameters"]);
    let fields = members(body_properties(document, operation));
    if !parameters.is_empty() || fields.len() > 0 {
        section.push_str("<table>\n");
        for parameter in parameters {
            row(
                &mut section,
                parameter["name"].as_str().unwrap_or_default(),
                parameter["in"].as_str().unwrap_or_default(),
                &parameter["description"],
            );
        }
        for (name, field) in fields {
            row(&mut section, name, "body", &field["description"]);
        }
        section.push_str("</table>\n");
    }
    let statuses = members(&operation["responses"]).map(|(status, _)| escape(status));
    let statuses: Vec<_> = statuses.collect();
    let _ = write!(
        section,
        "<p>Answers: {}</p>\n</details>\n",
        statuses.join(", ")
    );
    section
}

fn row(table: &mut String, name: &str, place: &str, description: &Value) {
    let _ = writeln!(
        table,
        "<tr><td><code>{}</code></td><td>{}</td><td>{}</td></tr>",
        escape(name),
        escape(place),
        text(description)
    );
}

/// The members of the object that the operation takes as its body.
fn body_properties<'a>(document: &'a Value, operation: &'a Value) -> &'a Value {
    let content = members(&operation["requestBody"]["content"]).next();
    let Some((_, content)) = content else {
        return &Value::Null;
    };
    // An optional body is one of its schema and null.
    let mut schemas = vec![&content["schema"]];
    schemas.extend(items(&content["schema"]["oneOf"]));
    let reference = schemas.iter().find_map(|schema| schema["$ref"].as_str());
    let schema = reference.and_then(|reference| document.pointer(reference.get(1..)?));
    schema.map_or(&Value::Null, |schema| &schema["properties"])
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn members(value: &Value) -> Box<dyn ExactSizeIterator<Item = (&String, &Value)> + '_> {
    match value.as_object() {
        Some(object) => Box::new(object.iter()),
        None => Box::new(std::iter::empty()),
    }
}

fn text(value: &Value) -> String {
    escape(value.as_str().unwrap_or_default())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_every_operation_and_fetches_nothing() {
        let document = serde_json::to_value(crate::openapi()).unwrap();
        let page = page(&document);
        for path in members(&document["paths"]).map(|(path, _)| path) {
            assert!(page.contains(path.as_str()), "{path}");
        }
        assert!(page.contains("idempotency_key") && page.contains("wait_ms"));
        for trace in ["<script", "http://", "https://", "{operations}"] {
            assert!(!page.contains(trace), "{trace}");
        }
    }
}
