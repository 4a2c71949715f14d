//! Submits a task by a form.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value};
use tasker_shared::tasks::{NewTask, OnConflict};
use tasker_shared::templates::TemplateDetail;

use super::fields::{Field, Kind, fields};
use super::form::{Mistakes, Typed, place, read, typed};
use super::inputs::inputs;
use super::{address, document_address, find, version_address};
use crate::extract::{Params, PathParts};
use crate::limits::BodyShare;
use crate::problem::Problem;
use crate::state::WebState;
use crate::storable_json::refuse_unstorable;
use crate::ui::forms::FormBody;
use crate::ui::frame::{Live, Page, Section};
use crate::ui::parts::{foreign, json, task_address, task_link};

/// How the database begins where it refuses a context.
const REFUSED_CONTEXT: &str = "the context does not fit the input schema: ";

/// The inputs of every form. Those of the schema's fields have a dot in their names.
const VERSION: &str = "version";
const AS_JSON: &str = "as_json";
const SHOW: &str = "show";
const CONTEXT: &str = "context";
const PRIORITY: &str = "priority";
const KEY: &str = "idempotency_key";

/// Which version to submit a task of.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FormParams {
    version: Option<String>,
}

/// A form as it was typed.
struct Form {
    template: TemplateDetail,
    /// Those of the context; none where it can only be typed as JSON.
    fields: Vec<Field>,
    typed: Typed,
    mistakes: Mistakes,
    /// What is wrong with the whole of it.
    problem: Option<Markup>,
}

pub(crate) async fn show_form(
    State(state): State<WebState>,
    PathParts((namespace, name)): PathParts<(String, String)>,
    Params(params): Params<FormParams>,
) -> Result<Page<'static>, Problem> {
    let template = find(&state, &namespace, &name, params.version.as_deref()).await?;
    Ok(Form::new(template, Typed::new()).page())
}

pub(crate) async fn submit(
    State(state): State<WebState>,
    PathParts((namespace, name)): PathParts<(String, String)>,
    Extension(share): Extension<BodyShare>,
    FormBody(pairs): FormBody<Vec<(String, String)>>,
) -> Result<Response, Problem> {
    // Browsers send line breaks as two characters.
    let typed = pairs
        .into_iter()
        .map(|(name, text)| (name, text.replace("\r\n", "\n")));
    let typed: Typed = typed.collect();
    let version = typed.get(VERSION).map(String::as_str);
    let template = find(&state, &namespace, &name, version).await?;
    let mut form = Form::new(template, typed);
    let task = form.task();
    if !form.mistakes.is_empty() {
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, form.page()).into_response());
    }
    if form.typed.contains_key(SHOW) {
        form.show_otherwise(&task.context);
        return Ok(form.page().into_response());
    }
    match state.submitter.submit(task, share).await {
        Ok(submitted) if submitted.created => {
            Ok(Redirect::to(&task_address(submitted.task_uuid)).into_response())
        }
        Ok(known) => {
            form.problem = Some(html! {
                "The idempotency key was used before, for the task " (task_link(known.task_uuid)) "."
                @if known.context_differs { " That task has another context than the one below." }
            });
            Ok(form.page().into_response())
        }
        Err(problem) => {
            form.refused(&problem);
            Ok((problem.status(), form.page()).into_response())
        }
    }
}

/// The fields of every task.
fn task_fields() -> [Field; 2] {
    let key = "The same key again leads to the first task instead of another one.";
    let priority = "Larger is claimed first; 0 where it is left empty.";
    [
        Field::plain(KEY, "Idempotency key", key, Kind::Scalar(vec!["string"])),
        Field::plain(
            PRIORITY,
            "Priority",
            priority,
            Kind::Scalar(vec!["integer"]),
        ),
    ]
}

impl Form {
    fn new(template: TemplateDetail, typed: Typed) -> Self {
        Self {
            fields: fields(&template.body["input_schema"]),
            template,
            typed,
            mistakes: Mistakes::new(),
            problem: None,
        }
    }

    fn is_json(&self) -> bool {
        self.fields.is_empty() || self.typed.contains_key(AS_JSON)
    }

    fn mistake(&mut self, name: &str, mistake: &str) {
        self.mistakes.insert(name.to_owned(), mistake.to_owned());
    }

    /// The task that was typed; what could not be read is among the mistakes.
    fn task(&mut self) -> NewTask {
        let context = if self.is_json() {
            let whole = [Field::plain(CONTEXT, CONTEXT, "", Kind::Json)];
            let read = read(&whole, &self.typed, &mut self.mistakes).remove(CONTEXT);
            read.unwrap_or_else(|| Value::Object(Map::new()))
        } else {
            Value::Object(read(&self.fields, &self.typed, &mut self.mistakes))
        };
        if !context.is_object() {
            self.mistake(CONTEXT, "the context of a task is a JSON object");
        }
        if let Err(problem) = refuse_unstorable(CONTEXT, &context) {
            self.mistake(CONTEXT, problem.detail());
            self.problem = Some(foreign(problem.detail()));
        }
        let rest = read(&task_fields(), &self.typed, &mut self.mistakes);
        let priority = rest.get("Priority").map_or(Some(0), Value::as_i64);
        let priority = priority.and_then(|priority| i16::try_from(priority).ok());
        if priority.is_none() {
            self.mistake(PRIORITY, "expected a whole number from -32768 to 32767");
        }
        let summary = &self.template.summary;
        NewTask {
            namespace: summary.namespace.clone(),
            name: summary.name.clone(),
            version: Some(summary.version.clone()),
            context,
            priority: priority.unwrap_or_default().into(),
            idempotency_key: rest
                .get("Idempotency key")
                .and_then(Value::as_str)
                .map(str::to_owned),
            on_conflict: OnConflict::Existing,
        }
    }

    /// Changes between the fields and JSON, where the fields can hold all of the context.
    fn show_otherwise(&mut self, context: &Value) {
        if !self.is_json() {
            let text = serde_json::to_string_pretty(context).unwrap_or_default();
            self.typed.extend([
                (CONTEXT.to_owned(), text),
                (AS_JSON.to_owned(), String::new()),
            ]);
            return;
        }
        let context = context.as_object();
        match context.and_then(|context| typed(&self.fields, context)) {
            Some(typed) => {
                self.typed.remove(AS_JSON);
                self.typed.extend(typed);
            }
            None => self.mistake(CONTEXT, "the fields cannot hold all of this"),
        }
    }

    /// Puts a refusal beside the field that it is about.
    fn refused(&mut self, problem: &Problem) {
        let detail = problem.detail();
        let about = detail.strip_prefix(REFUSED_CONTEXT);
        let found = about.and_then(|about| place(&self.fields, about));
        let found = found.map(|(field, mistake)| (field.input.clone(), mistake));
        match (about, found) {
            (Some(about), _) if self.is_json() => self.mistake(CONTEXT, about),
            (_, Some((input, mistake))) => self.mistake(&input, mistake),
            _ => {
                let hint = problem.advice().unwrap_or_default();
                self.problem = Some(html! { (foreign(detail)) " " (foreign(hint)) });
            }
        }
    }

    fn page(&self) -> Page<'static> {
        let summary = &self.template.summary;
        let about = "A JSON object; {} where it is left empty.";
        let whole = [Field::plain(CONTEXT, "Context", about, Kind::Json)];
        let draw = |fields: &[Field]| inputs(fields, &self.typed, &self.mistakes);
        Page {
            title: "Submit a task",
            section: Section::Templates,
            live: Live::No,
            content: html! {
                h1 { "Submit a task of " a href=(address(summary)) { (summary.namespace) "/" wbr; (summary.name) } " " span.note { (summary.version) } }
                @if let Some(text) = &summary.description { p { (foreign(text)) } }
                @if !self.mistakes.is_empty() || self.problem.is_some() {
                    div.problem role="alert" {
                        p { strong { "Nothing was submitted." } }
                        p { @match &self.problem { Some(problem) => (problem), None => "What is wrong stands beside the fields." } }
                    }
                }
                form method="post" action={ (address(summary)) "/submit" } {
                    input type="hidden" name=(VERSION) value=(summary.version);
                    @if self.is_json() {
                        input type="hidden" name=(AS_JSON);
                        (draw(&whole))
                        @if let Some(schema) = self.template.body.get("input_schema") {
                            details { summary { "What it has to be" } (json(schema, &document_address(summary))) }
                        }
                    } @else { (draw(&self.fields)) }
                    (draw(&task_fields()))
                    div.actions {
                        button.primary { "Submit" }
                        @if !self.fields.is_empty() {
                            button name=(SHOW) { @if self.is_json() { "Type into fields" } @else { "Type as JSON" } }
                        }
                        a href=(version_address(summary)) { "Cancel" }
                    }
                }
            },
        }
    }
}
