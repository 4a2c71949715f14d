//! What an operator can do to a task or a step.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::Value;
use tasker_shared::ids::TaskUuid;
use tasker_shared::operator::{Action, Settlement};
use tasker_shared::state::{StepState, TaskState};

use crate::problem::Kind as ProblemKind;
use crate::storable_json::refuse_unstorable;
use crate::tasks::parse_task_uuid;
use crate::ui::confirm::{ACTOR, Question, REASON, ask, read_reason, reason_field};
use crate::ui::fields::{Field, Kind, Mistakes, Typed, inputs, read};
use crate::ui::forms::FormBody;
use crate::ui::prelude::*;

/// The input of a result.
const RESULT: &str = "result";

/// Something that can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ui) enum Act {
    RetryTask,
    ResolveTask,
    CancelTask,
    RetryStep,
    SkipStep,
    ResolveStep,
}

impl Act {
    /// Its name in addresses, what its button says, and what it does.
    pub(in crate::ui) const fn text(self) -> [&'static str; 3] {
        match self {
            Self::RetryTask => [
                "retry",
                "Retry failed steps",
                "Every failed step gets fresh attempts, and the task goes on.",
            ],
            Self::ResolveTask => [
                "resolve",
                "Mark as resolved",
                "The failure was dealt with elsewhere. Nothing of the task runs again. This cannot be undone.",
            ],
            Self::CancelTask => [
                "cancel",
                "Cancel task",
                "What has not started never will, and handlers that run are told to stop. This cannot be undone.",
            ],
            Self::RetryStep => [
                "retry",
                "Retry step",
                "A failed step gets fresh attempts; one that waits for its next attempt runs at once.",
            ],
            Self::SkipStep => [
                "skip",
                "Skip step",
                "The step does not run. Those that depend on it go on with the result below. This cannot be undone.",
            ],
            Self::ResolveStep => [
                "resolve",
                "Resolve step",
                "The step was done by hand. Those that depend on it go on with the result below. This cannot be undone.",
            ],
        }
    }

    /// Whether it cannot be undone.
    pub(in crate::ui) const fn is_grave(self) -> bool {
        !matches!(self, Self::RetryTask | Self::RetryStep)
    }

    /// What can be done to a task in this state.
    pub(super) const fn of_task(state: TaskState, has_failed_step: bool) -> &'static [Self] {
        match (state, has_failed_step) {
            (TaskState::Error, true) => &[Self::RetryTask, Self::ResolveTask, Self::CancelTask],
            (TaskState::Error, false) => &[Self::ResolveTask, Self::CancelTask],
            (TaskState::Pending | TaskState::InProgress, true) => {
                &[Self::RetryTask, Self::CancelTask]
            }
            (TaskState::Pending | TaskState::InProgress, false) => &[Self::CancelTask],
            _ => &[],
        }
    }

    /// What can be done to a step in this state.
    pub(super) const fn of_step(task: TaskState, step: StepState) -> &'static [Self] {
        match (task, step) {
            (TaskState::Complete | TaskState::Cancelled | TaskState::ResolvedManually, _) => &[],
            (_, StepState::Error | StepState::WaitingForRetry) => {
                &[Self::RetryStep, Self::SkipStep, Self::ResolveStep]
            }
            (_, StepState::Pending | StepState::Enqueued) => &[Self::SkipStep, Self::ResolveStep],
            _ => &[],
        }
    }

    fn fields(self) -> Vec<Field> {
        let mut fields = vec![reason_field()];
        if matches!(self, Self::SkipStep | Self::ResolveStep) {
            let hint = "JSON, such as {\"paid\": true}. Null where it is left empty.";
            fields.push(Field::plain(RESULT, "Result", hint, Kind::Json));
        }
        fields
    }
}

/// Links to the confirmations of what can be done at this address.
pub(super) fn links(address: &str, acts: &[Act]) -> Markup {
    html! {
        div.actions {
            @for [name, label, _] in acts.iter().map(|act| act.text()) {
                a.button data-dialog href=(format!("{address}/act/{name}")) { (label) }
            }
        }
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
    act: Act,
}

/// Shows what would be done, and asks for a reason. Whether it can be done is judged where it is done.
pub(super) async fn confirm(
    PathParts(path): PathParts<ActPath>,
    _: NoParams,
) -> Result<Page, Problem> {
    Ok(Target::of(path)?.page(&Typed::new(), &Mistakes::new()))
}

/// Does it.
pub(super) async fn act(
    State(state): State<WebState>,
    PathParts(path): PathParts<ActPath>,
    FormBody(typed): FormBody<Typed>,
) -> Result<Response, Problem> {
    let target = Target::of(path)?;
    let mut mistakes = Mistakes::new();
    let mut values = read(&target.act.fields(), &typed, &mut mistakes);
    let result = values.remove("Result").unwrap_or_default();
    let reason = read_reason(typed.get(REASON).map_or("", String::as_str));
    let storable = refuse_unstorable(RESULT, &result);
    for (name, problem) in [
        (REASON, reason.as_ref().err()),
        (RESULT, storable.as_ref().err()),
    ] {
        mistakes.extend(problem.map(|it| (name.to_owned(), it.detail().to_owned())));
    }
    if !mistakes.is_empty() {
        let page = target.page(&typed, &mistakes);
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
    }
    target.carry_out(&state, reason?, result).await?;
    Ok(Redirect::to(&target.address()).into_response())
}

impl Target {
    fn of(path: ActPath) -> Result<Self, Problem> {
        let acts = match path.step_name {
            None => [Act::RetryTask, Act::ResolveTask, Act::CancelTask],
            Some(_) => [Act::RetryStep, Act::SkipStep, Act::ResolveStep],
        };
        let known = acts.into_iter().find(|it| it.text()[0] == path.act);
        let unknown = || {
            Problem::new(
                ProblemKind::NotFound,
                format!("there is no act {:?}", path.act),
            )
        };
        Ok(Self {
            task_uuid: parse_task_uuid(&path.task_uuid)?,
            step_name: path.step_name,
            act: known.ok_or_else(unknown)?,
        })
    }

    fn address(&self) -> String {
        match &self.step_name {
            Some(step) => step_address(self.task_uuid, step),
            None => task_address(self.task_uuid),
        }
    }

    async fn carry_out(
        &self,
        state: &WebState,
        reason: Option<&str>,
        result: Value,
    ) -> Result<(), Problem> {
        let step = self.step_name.as_deref().unwrap_or_default();
        let settlement = match self.act {
            Act::SkipStep => Settlement::Skip(result),
            _ => Settlement::Resolve(result),
        };
        let action = match self.act {
            Act::RetryTask => Action::RetryTask,
            Act::ResolveTask => Action::ResolveTask,
            Act::CancelTask => Action::CancelTask,
            Act::RetryStep => Action::RetryStep(step),
            Act::SkipStep | Act::ResolveStep => Action::SettleStep(step, &settlement),
        };
        let call = state.database.call(action.name(), async |connection| {
            action
                .carry_out(connection, self.task_uuid, ACTOR, reason)
                .await
        });
        Ok(call.await?)
    }

    /// The confirmation, with what was typed and what is wrong with it.
    fn page(&self, typed: &Typed, mistakes: &Mistakes) -> Page {
        let [name, label, effect] = self.act.text();
        let back = self.address();
        let step = self.step_name.as_ref();
        ask(&Question {
            label,
            about: html! { @if let Some(step) = step { (foreign(step)) " of " } "task " (self.task_uuid.short()) },
            effect: html! { p { (effect) } },
            is_grave: self.act.is_grave(),
            address: &format!("{back}/act/{name}"),
            back: &back,
            fields: inputs(&self.act.fields(), typed, mistakes),
        })
    }
}
