//! What the OpenAPI document says beyond the single operations.

use utoipa::OpenApi;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::{OpenApi as Api, Ref, RefOr, Required, Schema};

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
        (name = "events", description = "What happens, as it happens"),
        (name = "health", description = "The state of the process"),
        (name = "documentation", description = "This document"),
    ),
    components(schemas(Problem, Mistake), responses(Problem)),
)]
pub(crate) struct Document;

/// Adds to every operation of the API the problems that any of them may answer with.
pub(crate) fn complete(mut api: Api) -> Api {
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

/// A body that may be left out is declared as its schema or null; null itself is refused.
fn leave_out_instead_of_null(operation: &mut Operation) {
    let Some(RefOr::T(body)) = &mut operation.request_body else {
        return;
    };
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
    use tasker_shared::state::{StepState, TaskState};

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
}
