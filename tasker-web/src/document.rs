//! What the OpenAPI document says beyond the single operations.

use std::collections::BTreeMap;

use utoipa::OpenApi;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::{Object, OpenApi as Api, Ref, RefOr, Required, Schema};

use crate::problem::{Mistake, Problem};

/// What every operation under this path may answer with is added to them.
const API_PREFIX: &str = "/v1/";

/// The frame of the document.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tasker",
        description = "Workflows on PostgreSQL: templates are applied, tasks are submitted and \
                       looked at, operators move them by hand.\n\n\
                       Errors are problem details (RFC 9457) with the media type \
                       `application/problem+json`; their `type` is stable. Every answer carries \
                       `x-request-id`, a client's own where it sent one.\n\n\
                       A path under `/v1/` that is read refuses parameters that it does not know, \
                       and filters that are empty or malformed, with status 400. A namespace that \
                       is well-formed and not there is no mistake: it may come.\n\n\
                       A server that takes no more answers with status 503, the `type` \
                       `urn:tasker:problem:too-many-requests` and `Retry-After`; of such a request \
                       nothing was begun.",
    ),
    tags(
        (name = "templates", description = "Descriptions of workflows, in immutable versions"),
        (name = "tasks", description = "Runs of templates"),
        (name = "steps", description = "Single steps, and what operators do to them"),
        (name = "queues", description = "What waits for workers"),
        (name = "processes", description = "The orchestrators and workers that run"),
        (name = "statistics", description = "How long things take"),
        (name = "events", description = "What happens, as it happens"),
        (name = "health", description = "The state of the process"),
        (name = "documentation", description = "This document"),
    ),
    components(schemas(Problem, Mistake), responses(Problem)),
)]
pub(crate) struct Document;

/// Makes each schema one object, and adds to every operation of the API the problems that any of
/// them may answer with.
pub(crate) fn complete(mut api: Api) -> Api {
    if let Some(components) = &mut api.components {
        components.schemas.values_mut().for_each(merge_flattened);
        components.schemas.extend(template_schemas());
    }
    for (path, item) in &mut api.paths.paths {
        if !path.starts_with(API_PREFIX) {
            continue;
        }
        for operation in operations(item) {
            leave_out_instead_of_null(operation);
            add_problem(operation, "400");
            if path.contains('{') {
                add_problem(operation, "404");
            }
            if operation.request_body.is_some() {
                for status in ["408", "413", "415", "422"] {
                    add_problem(operation, status);
                }
            }
            add_problem(operation, "500");
            add_problem(operation, "503");
        }
    }
    api
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post].into_iter().flatten()
}

/// The format of templates; the exact one is `/schemas/template.json`.
fn template_schemas() -> BTreeMap<String, RefOr<Schema>> {
    let schemas = include_str!("template_schemas.json");
    serde_json::from_str(schemas).expect("the embedded file has schemas")
}

/// A type with others flattened into it is declared as all of them; it is sent as one object.
fn merge_flattened(schema: &mut RefOr<Schema>) {
    let RefOr::T(Schema::AllOf(parts)) = schema else {
        return;
    };
    let mut whole = Object::new();
    whole.description = parts.description.take();
    for mut part in parts.items.drain(..) {
        merge_flattened(&mut part);
        if let RefOr::T(Schema::Object(part)) = part {
            whole.properties.extend(part.properties);
            whole.required.extend(part.required);
        }
    }
    *schema = whole.into();
}

/// A body that may be left out is declared as its schema or null; null itself is refused.
fn leave_out_instead_of_null(operation: &mut Operation) {
    let Some(RefOr::T(body)) = &mut operation.request_body else {
        return;
    };
    // A body whose schema is only referred to does not say by itself that it is required.
    body.required.get_or_insert(Required::True);
    for content in body.content.values_mut() {
        let RefOr::T(content) = content else {
            continue;
        };
        let Some(RefOr::T(Schema::OneOf(choices))) = &content.schema else {
            continue;
        };
        let schema = choices.items.iter().find(|it| matches!(it, RefOr::Ref(_)));
        content.schema = schema.cloned();
        body.required = Some(Required::False);
    }
}

fn add_problem(operation: &mut Operation, status: &str) {
    let problem = RefOr::Ref(Ref::from_response_name("Problem"));
    let responses = &mut operation.responses.responses;
    responses.entry(status.to_owned()).or_insert(problem);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;
    use tasker_shared::state::{StepState, TaskState};
    use tasker_shared::template::Template;

    #[test]
    fn the_document_names_every_state() {
        let api = serde_json::to_value(crate::openapi()).unwrap();
        let states = |name| api["components"]["schemas"][name]["enum"].clone();

        assert_eq!(
            states("TaskState"),
            serde_json::to_value(TaskState::ALL).unwrap()
        );
        assert_eq!(
            states("StepState"),
            serde_json::to_value(StepState::ALL).unwrap()
        );
    }

    fn names(object: &Value) -> BTreeSet<String> {
        let members = object.as_object().expect("an object of properties");
        members.keys().cloned().collect()
    }

    #[test]
    fn the_document_and_the_exact_schema_name_the_same_properties() {
        let exact = Template::json_schema();
        let api = serde_json::to_value(crate::openapi()).unwrap();
        let pairs = [
            ("/properties", "TemplateDocument"),
            ("/properties/defaults/properties", "TemplateDefaults"),
            ("/$defs/step/properties", "TemplateStep"),
            ("/$defs/retry/properties", "TemplateRetry"),
        ];
        for (pointer, name) in pairs {
            let ours = api.pointer(&format!("/components/schemas/{name}/properties"));
            assert_eq!(
                names(ours.unwrap()),
                names(exact.pointer(pointer).unwrap()),
                "{name}"
            );
        }
    }
}
