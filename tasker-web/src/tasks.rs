//! Tasks, looked at.

use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::Uri;
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tasker_shared::error::Error;
use tasker_shared::ids::{StepId, TaskUuid};
use tasker_shared::moment;
use tasker_shared::state::TaskState;
use tasker_shared::tasks::{self, Condition, ListedTask, TaskDetail, TaskFilter, Transition};
use tokio::time::{Instant, sleep_until};
use tracing::debug;
use utoipa::{IntoParams, ToSchema};

use crate::cursor;
use crate::extract::{self, NoParams, Params, PathParts};
use crate::problem::{Kind, Problem};
use crate::state::WebState;

/// Which tasks to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParams {
    /// Only tasks of this namespace; none where it is not there.
    #[serde(default, deserialize_with = "extract::namespace")]
    #[param(pattern = "^[a-z][a-z0-9_]{0,28}$")]
    namespace: Option<String>,
    /// Only tasks of templates of this name.
    #[serde(default, deserialize_with = "extract::name")]
    #[param(min_length = 1)]
    name: Option<String>,
    /// Only tasks of this version of their template.
    #[serde(default, deserialize_with = "extract::some_text")]
    #[param(example = "1.0.0")]
    version: Option<String>,
    /// Only tasks in this state.
    #[param(value_type = Option<TaskState>)]
    state: Option<String>,
    /// At most this many; `web.default_page_size` where none is given, `web.max_page_size` at most.
    #[param(value_type = Option<i32>, minimum = 1)]
    limit: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only tasks submitted since then: how long ago (`90s`, `30m`, `2h`, `3d`, `1w`), a date, or a
    /// time of RFC 3339.
    #[param(example = "2h")]
    since: Option<String>,
    /// Only tasks submitted before then; written as `since` is.
    #[param(example = "2030-05-01T12:00:00Z")]
    until: Option<String>,
    /// Only tasks that were submitted with this idempotency key.
    #[serde(default, deserialize_with = "extract::some_text")]
    key: Option<String>,
    /// Only tasks of which a step of this name failed. Where `state` is left out, tasks in `error`.
    #[serde(default, deserialize_with = "extract::name")]
    step: Option<String>,
    /// Only tasks of which a step failed with an error that says this, in whatever case. Where
    /// `state` is left out, tasks in `error`.
    #[serde(default, deserialize_with = "extract::some_text")]
    error: Option<String>,
}

/// The query of a list: the parameter that may be repeated, and the others.
#[derive(Debug)]
pub(crate) struct ListQuery {
    params: ListParams,
    conditions: Vec<Condition>,
}

impl FromRequestParts<WebState> for ListQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &WebState) -> Result<Self, Problem> {
        Self::read(&parts.uri)
    }
}

impl ListQuery {
    /// Reads the query of an address.
    pub(crate) fn read(uri: &Uri) -> Result<Self, Problem> {
        let (others, conditions) = extract::take_repeated(uri, "where")?;
        let params = extract::parse_query(&others)?;
        let conditions = conditions.iter().map(|text| {
            text.parse::<Condition>().map_err(|error| {
                Problem::new(Kind::InvalidRequest, format!("where: {error}"))
                    .hint("in a URL, write %3C for <, %3E for > and %5E for ^")
            })
        });
        Ok(Self {
            params,
            conditions: conditions.collect::<Result<_, Problem>>()?,
        })
    }

    /// What to list: one more than the page takes tells whether there is another page.
    pub(crate) fn filter(self, state: &WebState) -> Result<TaskFilter, Problem> {
        let Self { params, conditions } = self;
        Ok(TaskFilter {
            namespace: params.namespace,
            name: params.name,
            version: params.version,
            state: params.state.as_deref().map(parse_state).transpose()?,
            limit: page_size(params.limit.as_deref(), state)? + 1,
            before: params.cursor.as_deref().map(cursor::read).transpose()?,
            after: None,
            since: parse_moment("since", params.since.as_deref())?,
            until: parse_moment("until", params.until.as_deref())?,
            key: params.key,
            step: params.step,
            error: params.error,
            conditions,
        })
    }
}

/// One page of tasks, the latest submitted first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TaskPage {
    /// The tasks.
    tasks: Vec<ListedTask>,
    /// The `cursor` of the next page; null on the last.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// Whether to wait for the task's end.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct WaitParams {
    /// Answer when the task ends, or after this many milliseconds with the task as it is then.
    /// More than `web.max_wait_ms` counts as that much.
    #[param(value_type = Option<u64>, minimum = 0)]
    wait_ms: Option<String>,
}

/// Every move of a task and its steps, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct History {
    #[schema(value_type = Uuid)]
    task_uuid: TaskUuid,
    transitions: Vec<Transition>,
}

/// List tasks
///
/// The latest submitted come first. A page that has a `next_cursor` is followed by another;
/// tasks submitted meanwhile do not shift the pages.
#[utoipa::path(
    get,
    path = "/v1/tasks",
    tag = "tasks",
    params(
        ListParams,
        ("where" = Option<Vec<String>>, Query, style = Form, explode = true, max_items = 8,
            description = "Only tasks whose search values meet this condition; all of several, where the \
                parameter is repeated: `PATH=VALUE`, `PATH^=BEGINNING`, `PATH<VALUE`, or with `<=`, `>` or \
                `>=`. Templates name the paths (`search`). `=` and `^=` compare texts; the others numbers \
                where VALUE is one, else texts.",
            example = json!(["order_id=42", "customer.email^=bob@"])),
    ),
    responses((status = 200, body = TaskPage, description = "One page.")),
)]
pub(crate) async fn list_tasks(
    State(state): State<WebState>,
    query: ListQuery,
) -> Result<Json<TaskPage>, Problem> {
    let filter = query.filter(&state)?;
    let (tasks, has_more) = read_page(&state, &filter).await?;
    let last = tasks.last().filter(|_| has_more);
    let next_cursor = last.map(|task| cursor::after(task.summary.task_uuid));
    Ok(Json(TaskPage { tasks, next_cursor }))
}

/// The tasks of a page, and whether there are more in its direction. The filter asks for one more, which
/// is the first of those after a task, and the last of all others.
pub(crate) async fn read_page(
    state: &WebState,
    filter: &TaskFilter,
) -> Result<(Vec<ListedTask>, bool), Problem> {
    let listed = state.database.call("list_tasks", async |connection| {
        tasks::list_tasks(connection, filter).await
    });
    let mut tasks = listed.await?;
    let page = usize::try_from(filter.limit - 1).unwrap_or_default();
    let has_more = tasks.len() > page;
    if has_more && filter.after.is_some() {
        tasks.remove(0);
    }
    tasks.truncate(page);
    Ok((tasks, has_more))
}

fn page_size(limit: Option<&str>, state: &WebState) -> Result<i32, Problem> {
    let max = state.config.max_page_size;
    let Some(text) = limit else {
        return Ok(state.config.default_page_size.min(max));
    };
    match text.parse() {
        Ok(limit) if (1..=max).contains(&limit) => Ok(limit),
        _ => Err(Problem::new(
            Kind::InvalidRequest,
            format!("limit is {text:?}, expected a number from 1 to {max}"),
        )),
    }
}

pub(crate) fn parse_moment(
    name: &str,
    text: Option<&str>,
) -> Result<Option<DateTime<Utc>>, Problem> {
    let moment = text.map(|text| moment::parse(text, Utc::now())).transpose();
    moment.map_err(|expected| {
        let detail = format!("{name} is {:?}, {expected}", text.unwrap_or_default());
        Problem::new(Kind::InvalidRequest, detail)
    })
}

fn parse_state(text: &str) -> Result<TaskState, Problem> {
    text.parse()
        .map_err(|error| Problem::new(Kind::InvalidRequest, format!("state: {error}")))
}

/// Show a task with its steps
///
/// With `wait_ms` the answer comes when the task ends or the time is over, whichever is first;
/// its `state` says which it was. Where the results of the steps have more than 32 MiB together
/// they are left out, and `results_omitted` says so.
#[utoipa::path(
    get,
    path = "/v1/tasks/{task_uuid}",
    tag = "tasks",
    params(("task_uuid" = Uuid, Path, description = "Identity of the task"), WaitParams),
    responses(
        (status = 200, body = TaskDetail, description = "The task as it is now."),
    ),
)]
pub(crate) async fn get_task(
    State(state): State<WebState>,
    PathParts(task_uuid): PathParts<String>,
    Params(params): Params<WaitParams>,
) -> Result<Json<TaskDetail>, Problem> {
    let task_uuid = parse_task_uuid(&task_uuid)?;
    let wait = params.wait_ms.as_deref().map(parse_wait).transpose()?;
    let task = match wait.filter(|wait| !wait.is_zero()) {
        Some(wait) => wait_for_end(&state, task_uuid, wait.min(state.config.max_wait)).await?,
        None => load_task(&state, task_uuid).await?,
    };
    Ok(Json(task))
}

fn parse_wait(text: &str) -> Result<Duration, Problem> {
    let milliseconds = text.parse().map_err(|_| {
        Problem::new(
            Kind::InvalidRequest,
            format!("wait_ms is {text:?}, expected a number of milliseconds"),
        )
    })?;
    Ok(Duration::from_millis(milliseconds))
}

async fn wait_for_end(
    state: &WebState,
    task_uuid: TaskUuid,
    wait: Duration,
) -> Result<TaskDetail, Problem> {
    let deadline = Instant::now() + wait;
    let mut interest = state.waiter.register(task_uuid).map_err(|_| {
        Problem::new(
            Kind::TooManyRequests,
            "as many requests wait for tasks as this server takes",
        )
        .hint("look without wait_ms, or try again")
    })?;
    // The state alone costs little to read, and a client that submitted a moment ago comes too
    // early, mostly to where that is known.
    if !state.waiter.is_known_to_run(task_uuid) && has_ended(state, task_uuid).await? {
        return find_ended(state, task_uuid)
            .await?
            .ok_or_else(|| no_task(task_uuid));
    }
    loop {
        let is_last = tokio::select! {
            is_notified = interest.notified() => !is_notified,
            () = sleep_until(deadline) => true,
        };
        match find_ended(state, task_uuid).await {
            Ok(None) => return Err(no_task(task_uuid)),
            Ok(Some(task)) if is_last || task.summary.state.is_terminal() => return Ok(task),
            Ok(Some(_)) => {}
            // The waiter rings again when the database is back.
            Err(error) if error.is_transient() && !is_last => {
                debug!(%error, "could not look at a task that is waited for");
            }
            Err(error) => return Err(error.into()),
        }
    }
}

async fn has_ended(state: &WebState, task_uuid: TaskUuid) -> Result<bool, Problem> {
    let is_terminal = state
        .database
        .call("task_is_terminal", async |connection| {
            tasks::task_is_terminal(connection, task_uuid).await
        })
        .await?;
    is_terminal.ok_or_else(|| no_task(task_uuid))
}

/// The task, which probably has ended, and well.
async fn find_ended(state: &WebState, task_uuid: TaskUuid) -> Result<Option<TaskDetail>, Error> {
    state
        .database
        .call("get_task", async |connection| {
            let task = tasks::get_complete_task(connection, task_uuid).await?;
            if task.is_some() {
                return Ok(task);
            }
            tasks::get_task(connection, task_uuid).await
        })
        .await
}

async fn load_task(state: &WebState, task_uuid: TaskUuid) -> Result<TaskDetail, Problem> {
    let task = find(state, task_uuid).await?;
    task.ok_or_else(|| no_task(task_uuid))
}

async fn find(state: &WebState, task_uuid: TaskUuid) -> Result<Option<TaskDetail>, Error> {
    state
        .database
        .call("get_task", async |connection| {
            tasks::get_task(connection, task_uuid).await
        })
        .await
}

/// Show every move of a task and its steps
#[utoipa::path(
    get,
    path = "/v1/tasks/{task_uuid}/history",
    tag = "tasks",
    params(("task_uuid" = Uuid, Path, description = "Identity of the task")),
    responses(
        (status = 200, body = History, description = "The moves, the oldest first."),
    ),
)]
pub(crate) async fn task_history(
    State(state): State<WebState>,
    PathParts(task_uuid): PathParts<String>,
    _: NoParams,
) -> Result<Json<History>, Problem> {
    let task_uuid = parse_task_uuid(&task_uuid)?;
    let transitions = state
        .database
        .call("task_history", async |connection| {
            let task = tasks::task_is_terminal(connection, task_uuid).await?;
            match task {
                Some(_) => tasks::task_history(connection, task_uuid).await.map(Some),
                None => Ok(None),
            }
        })
        .await?
        .ok_or_else(|| no_task(task_uuid))?;
    Ok(Json(History {
        task_uuid,
        transitions,
    }))
}

/// Reads the uuid of a task in a path.
pub(crate) fn parse_task_uuid(text: &str) -> Result<TaskUuid, Problem> {
    text.parse().map_err(|_| {
        Problem::new(
            Kind::InvalidRequest,
            format!("{text:?} is not the uuid of a task"),
        )
        .hint("it looks like 01890a5d-ac96-774b-bcce-b302099a0000")
    })
}

pub(crate) fn no_task(task_uuid: TaskUuid) -> Problem {
    let problem = Problem::new(Kind::NotFound, format!("there is no task {task_uuid}"));
    // A step's uuid is its task's with the number of the step in it.
    let StepId { task_uuid, step_no } = StepId::from_step_uuid(task_uuid.0);
    if step_no == 0 {
        return problem;
    }
    problem.hint(format!(
        "this looks like the uuid of a step; its task would be {task_uuid}"
    ))
}
