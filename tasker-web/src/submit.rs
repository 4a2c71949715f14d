//! Submission of tasks, one or many.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tasker_shared::tasks::{NewTask, OnConflict, Submitted};
use tasker_shared::template::{is_namespace, is_template_name, is_version};
use utoipa::ToSchema;

use crate::extract::JsonBody;
use crate::limits::BodyShare;
use crate::object::Object;
use crate::problem::Problem;
use crate::state::WebState;
use crate::storable_json::{refuse_unstorable, refuse_unstorable_text};

/// A task to be submitted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TaskRequest {
    /// Namespace of the template.
    #[schema(example = "fulfillment", pattern = "^[a-z][a-z0-9_]{0,28}$")]
    namespace: String,
    /// Name of the template.
    #[schema(example = "order_fulfillment", pattern = "^[a-z][a-z0-9_]{0,63}$")]
    name: String,
    /// Version of the template; the highest where none is named.
    #[schema(
        example = "1.0.0",
        pattern = "^(0|[1-9][0-9]{0,5})\\.(0|[1-9][0-9]{0,5})\\.(0|[1-9][0-9]{0,5})$"
    )]
    version: Option<String>,
    /// Input of the task, checked against the template's input schema; `{}` where none is given.
    #[serde(default = "empty_object")]
    #[schema(required = false, value_type = Option<Object>, example = json!({"order_id": 1}))]
    context: Value,
    /// Larger is claimed first; 0 where none is given.
    #[serde(default)]
    #[schema(example = 0, minimum = -32768, maximum = 32767)]
    priority: i32,
    /// The same key again, for the same template, gives the first task.
    #[schema(example = "order-1", min_length = 1, max_length = 255)]
    idempotency_key: Option<String>,
    /// What to do where that key was used with another context; `existing` where it is left out.
    #[serde(default)]
    #[schema(required = false)]
    on_conflict: OnConflict,
}

/// Tasks to be submitted, all or none.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BatchRequest {
    /// The tasks; `web.max_batch_tasks` says how many there may be.
    #[schema(value_type = Vec<TaskRequest>)]
    tasks: Vec<Object<TaskRequest>>,
}

/// The answers to a batch, in its order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatchAnswer {
    /// One answer for each task.
    tasks: Vec<Submitted>,
}

fn empty_object() -> Value {
    Value::Object(serde_json::Map::new())
}

impl TaskRequest {
    /// `path` is the place of the request in the body, with a dot behind it where there is one.
    fn into_task(self, path: &str) -> Result<NewTask, Problem> {
        for (name, text) in [
            ("namespace", Some(self.namespace.as_str())),
            ("name", Some(&self.name)),
            ("version", self.version.as_deref()),
            ("idempotency_key", self.idempotency_key.as_deref()),
        ] {
            refuse_unstorable_text(&format!("{path}{name}"), text)?;
        }
        refuse_unstorable(&format!("{path}context"), &self.context)?;
        self.check_names(path)?;
        Ok(NewTask {
            namespace: self.namespace,
            name: self.name,
            version: self.version,
            context: self.context,
            priority: self.priority,
            idempotency_key: self.idempotency_key,
            on_conflict: self.on_conflict,
        })
    }
}

impl TaskRequest {
    /// Refuses what no template is called.
    fn check_names(&self, path: &str) -> Result<(), Problem> {
        let version = self.version.as_deref().unwrap_or("0.0.0");
        let checks = [
            ("namespace", is_namespace(&self.namespace), "a namespace"),
            (
                "name",
                is_template_name(&self.name),
                "the name of a template",
            ),
            ("version", is_version(version), "a version of three numbers"),
        ];
        match checks.into_iter().find(|(_, is_one, _)| !is_one) {
            None => Ok(()),
            Some((field, _, what)) => Err(Problem::mistake(
                &format!("{path}{field}"),
                format!("this is not {what}"),
            )
            .hint("/openapi.json has the pattern")),
        }
    }
}

/// Submit a task
///
/// A task whose `idempotency_key` is known for its template is not created again: the answer has
/// status 200, names the first one and says whether its context differs; with `on_conflict` as
/// `reject` another context is refused with status 409. Where as many tasks wait as the server takes, the answer has
/// status 503 and nothing was created.
#[utoipa::path(
    post,
    path = "/v1/tasks",
    tag = "tasks",
    request_body = TaskRequest,
    responses(
        (status = 201, body = Submitted, description = "The task was created.",
         headers(("location" = String, description = "The path of the task"))),
        (status = 200, body = Submitted,
         description = "The idempotency key was known: this is the first task.",
         headers(("location" = String, description = "The path of the task"))),
        (status = 404, response = Problem),
        (status = 409, response = Problem),
    ),
)]
pub(crate) async fn submit_task(
    State(state): State<WebState>,
    Extension(share): Extension<BodyShare>,
    JsonBody(request): JsonBody<TaskRequest>,
) -> Result<Response, Problem> {
    let submitted = state
        .submitter
        .submit(request.into_task("")?, share)
        .await?;
    if submitted.created {
        state.waiter.submitted(submitted.task_uuid);
    }
    let location = format!("/v1/tasks/{}", submitted.task_uuid);
    let headers = [(LOCATION, location)];
    Ok((status(submitted.created), headers, Json(submitted)).into_response())
}

/// Submit many tasks, all or none
///
/// A refusal names the position of the first task at fault, and nothing is created.
#[utoipa::path(
    post,
    path = "/v1/tasks/batch",
    tag = "tasks",
    request_body = BatchRequest,
    responses(
        (status = 201, body = BatchAnswer, description = "At least one task was created."),
        (status = 200, body = BatchAnswer, description = "Every idempotency key was known."),
        (status = 404, response = Problem),
        (status = 409, response = Problem),
    ),
)]
pub(crate) async fn submit_batch(
    State(state): State<WebState>,
    Extension(share): Extension<BodyShare>,
    JsonBody(request): JsonBody<BatchRequest>,
) -> Result<Response, Problem> {
    let limit = state.config.max_batch_tasks;
    if request.tasks.len() > limit {
        return Err(batch_too_large(request.tasks.len(), limit));
    }
    let mut tasks = Vec::with_capacity(request.tasks.len());
    for (index, Object(task)) in request.tasks.into_iter().enumerate() {
        tasks.push(task.into_task(&format!("tasks[{index}]."))?);
    }
    let tasks = match tasks.as_slice() {
        [] => Vec::new(),
        _ => state.submitter.submit_all(tasks, share).await?,
    };
    let any_created = tasks.iter().any(|submitted| submitted.created);
    Ok((status(any_created), Json(BatchAnswer { tasks })).into_response())
}

const fn status(created: bool) -> StatusCode {
    if created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    }
}

fn batch_too_large(len: usize, limit: usize) -> Problem {
    let message = format!("{len} tasks are more than the {limit} that one batch may have");
    Problem::mistake("tasks", message).hint("send several; web.max_batch_tasks is the limit")
}
