//! Submits a task by a form.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value};
use tasker_shared::tasks::{NewTask, OnConflict, Submitted};
use tasker_shared::templates::TemplateDetail;

use super::fields::{Field, fields};
use super::form::{Mistakes, Typed, place, read, typed};
use super::inputs::{Control, Input, draw, inputs};
use super::{address, find, version_address};
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
    fields: Vec<Field>,
    typed: Typed,
    mistakes: Mistakes,
    /// What is wrong with the whole of it.
    problem: Option<String>,
}

pub(crate) async fn show_form(
    State(state): State<WebState>,
    PathParts((namespace, name)): PathParts<(String, String)>,
    Params(params): Params<FormParams>,
) -> Result<Page<'static>, Problem> {
    let template = find(&state, &namespace, &name, params.version.as_deref()).await?;
    let form = Form::new(template, Typed::new());
    Ok(form.page())
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
    if form.text(SHOW) != "" && form.mistakes.is_empty() {
        form.show_otherwise(&task.context);
        return Ok(form.page().into_response());
    }
    if !form.mistakes.is_empty() {
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, form.page()).into_response());
    }
    let key = task.idempotency_key.clone();
    match state.submitter.submit(task, share).await {
        Ok(Submitted {
            task_uuid,
            created: true,
            ..
        }) => Ok(Redirect::to(&task_address(task_uuid)).into_response()),
        Ok(submitted) => Ok(form
            .known(&submitted, &key.unwrap_or_default())
            .into_response()),
        Err(problem) => {
            form.refused(&problem);
            Ok((problem.status(), form.page()).into_response())
        }
    }
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

    fn text(&self, name: &str) -> &str {
        self.typed.get(name).map_or("", |text| text.trim())
    }

    fn is_json(&self) -> bool {
        self.fields.is_empty() || self.text(AS_JSON) != ""
    }

    fn mistake(&mut self, name: &str, mistake: impl Into<String>) {
        self.mistakes.insert(name.to_owned(), mistake.into());
    }

    /// The task that was typed; what could not be read is among the mistakes.
    fn task(&mut self) -> NewTask {
        let context = if self.is_json() {
            match self.text(CONTEXT) {
                "" => Value::Object(Map::new()),
                text => serde_json::from_str(text).unwrap_or_else(|error| {
                    let mistake = format!("this is not JSON: {error}");
                    self.mistake(CONTEXT, mistake);
                    Value::Null
                }),
            }
        } else {
            Value::Object(read(&self.fields, &self.typed, &mut self.mistakes))
        };
        if !context.is_object() && self.mistakes.is_empty() {
            self.mistake(CONTEXT, "the context of a task is a JSON object");
        }
        if let Err(problem) = refuse_unstorable("the context", &context) {
            self.problem = Some(problem.detail().to_owned());
            self.mistake(
                CONTEXT,
                "holds the character \\u0000, which cannot be stored",
            );
        }
        let priority = match self.text(PRIORITY) {
            "" => Ok(0),
            text => text.parse::<i16>(),
        };
        if priority.is_err() {
            self.mistake(PRIORITY, "expected a whole number from -32768 to 32767");
        }
        if self.text(KEY).chars().count() > 255 {
            self.mistake(KEY, "a key has at most 255 characters");
        }
        let summary = &self.template.summary;
        NewTask {
            namespace: summary.namespace.clone(),
            name: summary.name.clone(),
            version: Some(summary.version.clone()),
            context,
            priority: priority.unwrap_or_default().into(),
            idempotency_key: Some(self.text(KEY).to_owned()).filter(|key| !key.is_empty()),
            on_conflict: OnConflict::Existing,
        }
    }

    /// Changes between the fields and JSON, where the fields can hold all of the context.
    fn show_otherwise(&mut self, context: &Value) {
        if !self.is_json() {
            let text = serde_json::to_string_pretty(context).unwrap_or_default();
            self.typed.insert(CONTEXT.to_owned(), text);
            self.typed.insert(AS_JSON.to_owned(), "yes".to_owned());
            return;
        }
        match context
            .as_object()
            .and_then(|context| typed(&self.fields, context))
        {
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
                let hint = problem.advice();
                let hint = hint.map_or_else(String::new, |hint| format!(": {hint}"));
                self.problem = Some(format!("{detail}{hint}"));
            }
        }
    }

    fn page(&self) -> Page<'static> {
        let summary = &self.template.summary;
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
                        p { @match &self.problem { Some(problem) => (foreign(problem)), None => "What to mend is said beside the fields." } }
                    }
                }
                form method="post" action={ (address(summary)) "/submit" } {
                    input type="hidden" name=(VERSION) value=(summary.version);
                    @if self.is_json() { (self.json_input()) } @else { (inputs(&self.fields, &self.typed, &self.mistakes)) }
                    (self.task_inputs())
                    div.actions {
                        button.primary { "Submit" }
                        @if !self.fields.is_empty() {
                            button name=(SHOW) value="yes" { @if self.is_json() { "Type into fields" } @else { "Type as JSON" } }
                        }
                        a href=(version_address(summary)) data-cancel { "Cancel" }
                    }
                }
            },
        }
    }

    fn json_input(&self) -> Markup {
        let input = Input {
            name: CONTEXT,
            label: html! { "Context" },
            hint: html! { "A JSON object. Where it is left empty: " code { "{}" } "." },
            control: Control::Lines(10),
        };
        html! {
            input type="hidden" name=(AS_JSON) value="yes";
            (draw(&input, &self.typed, &self.mistakes))
            @if let Some(schema) = self.template.body.get("input_schema") {
                details { summary { "What it has to be" }
                    (json(schema, &format!("/v1/templates/{}/{}", self.template.summary.namespace, self.template.summary.name))) }
            }
        }
    }

    fn task_inputs(&self) -> Markup {
        let key = Input {
            name: KEY,
            label: html! { "Idempotency key" },
            hint: html! { "May be left empty. The same key again leads to the first task instead of another one." },
            control: Control::Line,
        };
        let priority = Input {
            name: PRIORITY,
            label: html! { "Priority" },
            hint: html! { "Larger is claimed first; 0 where it is left empty." },
            control: Control::Line,
        };
        html! {
            (draw(&key, &self.typed, &self.mistakes))
            (draw(&priority, &self.typed, &self.mistakes))
        }
    }

    /// The page for a key that was used before.
    fn known(&self, submitted: &Submitted, key: &str) -> Page<'static> {
        Page {
            title: "The task is there already",
            section: Section::Templates,
            live: Live::No,
            content: html! {
                h1 { "The task is there already" }
                p { "The idempotency key " code { (foreign(key)) } " was used before, for the task " (task_link(submitted.task_uuid)) ". Nothing was submitted." }
                @if submitted.context_differs {
                    p.problem.mild { "That task has another context than what you typed." }
                }
                div.actions {
                    a.button href=(task_address(submitted.task_uuid)) { "Open the task" }
                    a href={ (address(&self.template.summary)) "/submit" } { "Submit another" }
                }
            },
        }
    }
}
