//! What an operator can do to a task or a step: each is confirmed on a page of its own, with a reason.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;
use tasker_shared::ids::TaskUuid;
use tasker_shared::operator::{Action, Settlement};
use tasker_shared::state::{StepState, TaskState};
use tasker_shared::tasks::{outline_steps, outline_task, step_in_detail};

use super::step_address;
use crate::extract::{NoParams, PathParts};
use crate::operate::check_reason;
use crate::problem::{Kind, Problem};
use crate::state::WebState;
use crate::storable_json::refuse_unstorable;
use crate::tasks::{no_task, parse_task_uuid};
use crate::ui::forms::FormBody;
use crate::ui::frame::{Live, Page, Section};
use crate::ui::parts::{foreign, task_address};

/// Who the transition log says acted through these pages.
const ACTOR: &str = "operator:ui";

/// Something that can be done: its name in addresses, what its button says, what it does.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Act(&'static str, &'static str, &'static str);

const RETRY_TASK: Act = Act(
    "retry",
    "Retry failed steps",
    "Every failed step gets fresh attempts, and the task goes on.",
);
const CANCEL_TASK: Act = Act(
    "cancel",
    "Cancel task",
    "What has not started never will, and handlers that run are told to stop. This cannot be undone.",
);
const RESOLVE_TASK: Act = Act(
    "resolve",
    "Mark as resolved",
    "The failure was dealt with elsewhere. Nothing of the task runs again. This cannot be undone.",
);
const RETRY_STEP: Act = Act(
    "retry",
    "Retry step",
    "A failed step gets fresh attempts; one that waits for its next attempt runs at once.",
);
const SKIP_STEP: Act = Act(
    "skip",
    "Skip step",
    "The step does not run. Those that depend on it go on with the result below. This cannot be undone.",
);
const RESOLVE_STEP: Act = Act(
    "resolve",
    "Resolve step",
    "The step was done by hand. Those that depend on it go on with the result below. This cannot be undone.",
);

/// What can be done to a task in this state.
pub(super) fn for_task(state: TaskState, has_failed_step: bool) -> Vec<&'static Act> {
    let is_failed = state == TaskState::Error;
    let is_open = !state.is_terminal();
    allowed([
        (&RETRY_TASK, has_failed_step && (is_failed || is_open)),
        (&RESOLVE_TASK, is_failed),
        (&CANCEL_TASK, is_failed || is_open),
    ])
}

/// What can be done to a step in this state.
pub(super) fn for_step(task: TaskState, step: StepState) -> Vec<&'static Act> {
    let goes_on = task == TaskState::Error || !task.is_terminal();
    let has_failed = matches!(step, StepState::Error | StepState::WaitingForRetry);
    let is_idle = has_failed || matches!(step, StepState::Pending | StepState::Enqueued);
    allowed([
        (&RETRY_STEP, goes_on && has_failed),
        (&SKIP_STEP, goes_on && is_idle),
        (&RESOLVE_STEP, goes_on && is_idle),
    ])
}

fn allowed(acts: [(&'static Act, bool); 3]) -> Vec<&'static Act> {
    let acts = acts.into_iter().filter(|(_, is_allowed)| *is_allowed);
    acts.map(|(act, _)| act).collect()
}

/// Links to the confirmations of what can be done at this address.
pub(super) fn links(address: &str, acts: &[&Act]) -> Markup {
    html! {
        @if !acts.is_empty() {
            div.actions {
                @for act in acts {
                    a.button data-dialog href=(format!("{address}/act/{}", act.0)) { (act.1) }
                }
            }
        }
    }
}

/// What a confirmation sends.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ActForm {
    #[serde(default)]
    reason: String,
    /// JSON; empty for null.
    #[serde(default)]
    result: String,
}

impl ActForm {
    fn reason(&self) -> Result<Option<&str>, String> {
        let reason = Some(self.reason.trim()).filter(|reason| !reason.is_empty());
        check_reason(reason).map_err(|problem| problem.detail().to_owned())?;
        Ok(reason)
    }

    fn result(&self) -> Result<Value, String> {
        if self.result.trim().is_empty() {
            return Ok(Value::Null);
        }
        let result = serde_json::from_str(&self.result)
            .map_err(|error| format!("This is not JSON: {error}"))?;
        refuse_unstorable("result", &result).map_err(|problem| problem.detail().to_owned())?;
        Ok(result)
    }
}

/// Which act an address names, and of what.
#[derive(Debug, Deserialize)]
pub(super) struct ActPath {
    task_uuid: String,
    step_name: Option<String>,
    act: String,
}

/// What is to be done, and to what.
struct Target {
    task_uuid: TaskUuid,
    step_name: Option<String>,
    act: &'static Act,
    about: String,
}

/// Shows what would be done, and asks for a reason.
pub(super) async fn confirm(
    State(state): State<WebState>,
    PathParts(path): PathParts<ActPath>,
    _: NoParams,
) -> Result<Page<'static>, Problem> {
    let target = Target::of(&state, path).await?;
    Ok(target.page(&ActForm::default(), [None, None]))
}

/// Does it.
pub(super) async fn act(
    State(state): State<WebState>,
    PathParts(path): PathParts<ActPath>,
    FormBody(form): FormBody<ActForm>,
) -> Result<Response, Problem> {
    let target = Target::of(&state, path).await?;
    match (form.reason(), form.result()) {
        (Ok(reason), Ok(result)) => target.carry_out(&state, reason, result).await,
        (reason, result) => {
            let page = target.page(&form, [reason.err(), result.err()]);
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
    }
}

impl Target {
    async fn of(state: &WebState, path: ActPath) -> Result<Self, Problem> {
        let task_uuid = parse_task_uuid(&path.task_uuid)?;
        let step_name = path.step_name;
        let (task, step, has_failed) = state
            .database
            .call("outline_task", async |connection| {
                let task = outline_task(connection, task_uuid).await?;
                let Some(name) = &step_name else {
                    let steps = outline_steps(connection, task_uuid).await?;
                    let mut states = steps.iter().map(|step| step.state);
                    return Ok((task, None, states.any(|state| state == StepState::Error)));
                };
                let step = step_in_detail(connection, task_uuid, name, 0).await?;
                Ok((task, Some(step), false))
            })
            .await?;
        let task = task.ok_or_else(|| no_task(task_uuid))?.summary;
        let named = format!("{} {}", task.name, task_uuid.short());
        let (acts, about, now) = match step {
            None => (
                for_task(task.state, has_failed),
                named,
                format!("the task is {}", task.state),
            ),
            Some(step) => (
                for_step(task.state, step.state),
                format!("{} of {named}", step.name),
                format!(
                    "the step is {} in a task that is {}",
                    step.state, task.state
                ),
            ),
        };
        let Some(act) = acts.into_iter().find(|act| act.0 == path.act) else {
            let detail = format!("{:?} is not possible: {now}", path.act);
            let hint = "go back to its page, which shows what is";
            return Err(Problem::new(Kind::Conflict, detail).hint(hint));
        };
        Ok(Self {
            task_uuid,
            step_name,
            act,
            about,
        })
    }

    fn address(&self) -> String {
        let step = self.step_name.as_deref();
        step.map_or_else(
            || task_address(self.task_uuid),
            |step| step_address(self.task_uuid, step),
        )
    }

    fn settles(&self) -> bool {
        *self.act == SKIP_STEP || *self.act == RESOLVE_STEP
    }

    async fn carry_out(
        &self,
        state: &WebState,
        reason: Option<&str>,
        result: Value,
    ) -> Result<Response, Problem> {
        let settlement = match *self.act {
            SKIP_STEP => Settlement::Skip(result),
            _ => Settlement::Resolve(result),
        };
        let action = match (&self.step_name, self.act) {
            (Some(step), &RETRY_STEP) => Action::RetryStep(step),
            (Some(step), _) => Action::SettleStep(step, &settlement),
            (None, &RETRY_TASK) => Action::RetryTask,
            (None, &CANCEL_TASK) => Action::CancelTask,
            (None, _) => Action::ResolveTask,
        };
        state
            .database
            .call(action.name(), async |connection| {
                action
                    .carry_out(connection, self.task_uuid, ACTOR, reason)
                    .await
            })
            .await?;
        Ok(Redirect::to(&self.address()).into_response())
    }

    /// The confirmation, with what was typed, and what is wrong with the reason and the result.
    fn page(&self, form: &ActForm, mistakes: [Option<String>; 2]) -> Page<'static> {
        let [reason_mistake, result_mistake] = mistakes;
        let Act(name, label, effect) = *self.act;
        let is_grave = ![RETRY_TASK, RETRY_STEP].contains(self.act);
        let address = self.address();
        Page {
            title: label,
            section: Section::Tasks,
            live: Live::No,
            content: html! {
                h1 { (label) ": " (foreign(&self.about)) }
                p { (effect) }
                form method="post" action=(format!("{address}/act/{name}")) {
                    div.field {
                        label for="reason" { "Reason" }
                        input #reason name="reason" maxlength="2000" size="60" value=(form.reason) aria-describedby="reason-note";
                        p #reason-note.note { "Kept in the history. May be left empty." }
                        @if let Some(mistake) = reason_mistake { p.mistake role="alert" { (mistake) } }
                    }
                    @if self.settles() {
                        div.field {
                            label for="result" { "Result" }
                            textarea #result name="result" rows="6" spellcheck="false" aria-describedby="result-note"
                                aria-invalid=[result_mistake.is_some().then_some("true")] { (form.result) }
                            p #result-note.note { "JSON, such as " code { "{\"paid\": true}" } ". Empty is null." }
                            @if let Some(mistake) = result_mistake { p.mistake role="alert" { (mistake) } }
                        }
                    }
                    div.actions {
                        button type="submit" class=(if is_grave { "danger" } else { "primary" }) { (label) }
                        a.button data-cancel href=(address) { "Back" }
                    }
                }
            },
        }
    }
}
