//! Submits a task by a form.

use axum::Extension;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::{Map, Value};
use tasker_shared::tasks::{NewTask, OnConflict};
use tasker_shared::templates::TemplateDetail;

use super::schema::{allows_more, fields, place};
use super::{document_address, find, version_address};
use crate::limits::BodyShare;
use crate::storable_json::refuse_unstorable;
use crate::ui::fields::{Field, Kind, Mistakes, Scalar, Typed, inputs, read};
use crate::ui::forms::FormBody;
use crate::ui::prelude::*;

/// How the database begins where it refuses a context.
const REFUSED_CONTEXT: &str = "the context does not fit the input schema: ";

/// The inputs of every form. Those of the schema's fields have a dot in their names.
const VERSION: &str = "version";
const CONTEXT: &str = "context";
const MORE: &str = "more";
const PRIORITY: &str = "priority";
const KEY: &str = "idempotency_key";

/// What the input beside the fields of the schema is called.
const MORE_LABEL: &str = "More of the context (JSON object)";

/// Which version to submit a task of.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FormParams {
    version: Option<String>,
}

/// A form as it was typed.
struct Form {
    template: TemplateDetail,
    /// Those of the context; one of all of it where the schema describes none.
    fields: Vec<Field>,
    /// What the schema allows beside those that it describes.
    more: Option<Field>,
    typed: Typed,
    mistakes: Mistakes,
    /// What is wrong with the whole of it.
    problem: Option<Markup>,
}

pub(crate) async fn show_form(
    State(state): State<WebState>,
    PathParts((namespace, name)): PathParts<(String, String)>,
    Params(params): Params<FormParams>,
) -> Result<Page, Problem> {
    let template = find(&state, &namespace, &name, params.version.as_deref()).await?;
    Ok(Form::new(template, Typed::new()).page())
}

pub(crate) async fn submit(
    State(state): State<WebState>,
    PathParts((namespace, name)): PathParts<(String, String)>,
    Extension(share): Extension<BodyShare>,
    FormBody(typed): FormBody<Typed>,
) -> Result<Response, Problem> {
    let version = typed.get(VERSION).map(String::as_str);
    let template = find(&state, &namespace, &name, version).await?;
    let mut form = Form::new(template, typed);
    let task = form.task();
    if !form.mistakes.is_empty() {
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, form.page()).into_response());
    }
    match state.submitter.submit(task, share).await {
        Ok(submitted) => Ok(Redirect::to(&task_address(submitted.task_uuid)).into_response()),
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
        Field::plain(KEY, "Idempotency key", key, Kind::One(Scalar::Text)),
        Field::plain(PRIORITY, "Priority", priority, Kind::One(Scalar::Integer)),
    ]
}

impl Form {
    fn new(template: TemplateDetail, typed: Typed) -> Self {
        let mut fields = fields(&template.body["input_schema"]);
        let mut more = None;
        if fields.is_empty() {
            let hint = "A JSON object; {} where it is left empty.";
            fields.push(Field::plain(CONTEXT, "Context", hint, Kind::Json));
        } else if allows_more(&template.body["input_schema"]) {
            let hint = "What has no field above, such as {\"note\": \"by phone\"}.";
            more = Some(Field::plain(MORE, MORE_LABEL, hint, Kind::Json));
        }
        Self {
            fields,
            more,
            template,
            typed,
            mistakes: Mistakes::new(),
            problem: None,
        }
    }

    /// Whether the whole context is typed as JSON.
    fn is_json(&self) -> bool {
        self.fields[0].input == CONTEXT
    }

    fn mistake(&mut self, name: &str, mistake: &str) {
        self.mistakes.insert(name.to_owned(), mistake.to_owned());
    }

    /// The task that was typed; what could not be read is among the mistakes.
    fn task(&mut self) -> NewTask {
        let mut context = read(&self.fields, &self.typed, &mut self.mistakes);
        self.add_more(&mut context);
        let mut context = Value::Object(context);
        if self.is_json() {
            let whole = context.get_mut("Context").map(Value::take);
            context = whole.unwrap_or_else(|| Value::Object(Map::new()));
        }
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
        let key = rest.get("Idempotency key").and_then(Value::as_str);
        NewTask {
            namespace: summary.namespace.clone(),
            name: summary.name.clone(),
            version: Some(summary.version.clone()),
            context,
            priority: priority.unwrap_or_default().into(),
            idempotency_key: key.map(str::to_owned),
            on_conflict: OnConflict::Reject,
        }
    }

    /// Adds what was typed beside the fields of the schema.
    fn add_more(&mut self, context: &mut Map<String, Value>) {
        let mut read = read(self.more.as_slice(), &self.typed, &mut self.mistakes);
        let Some(more) = read.remove(MORE_LABEL) else {
            return;
        };
        let Value::Object(more) = more else {
            return self.mistake(MORE, "expected a JSON object");
        };
        let has_field = |name: &&String| self.fields.iter().any(|field| field.property == **name);
        if let Some(name) = more.keys().find(has_field) {
            let mistake = format!("{name} has a field of its own above: type it there");
            return self.mistake(MORE, &mistake);
        }
        context.extend(more);
    }

    /// Puts a refusal beside the field that it is about.
    fn refused(&mut self, problem: &Problem) {
        let detail = problem.detail();
        let Some(about) = detail.strip_prefix(REFUSED_CONTEXT) else {
            let hint = problem.advice().unwrap_or_default();
            self.problem = Some(html! { (foreign(detail)) " " (foreign(hint)) });
            return;
        };
        let dot = if about.starts_with('[') { "" } else { "." };
        let about_field = format!("{dot}{about}");
        let found = place(&self.fields, &about_field);
        match found.map(|(field, mistake)| (field.input.clone(), mistake)) {
            Some((input, mistake)) => self.mistake(&input, mistake),
            None if self.is_json() => self.mistake(CONTEXT, about),
            None => self.problem = Some(foreign(detail)),
        }
    }

    fn page(&self) -> Page {
        let summary = &self.template.summary;
        let address = template_address(&summary.namespace, &summary.name);
        let draw = |fields: &[Field]| inputs(fields, &self.typed, &self.mistakes);
        let content = html! {
            h1 { "Submit a task of " a href=(address) { (summary.namespace) "/" wbr; (summary.name) } " " span.note { (summary.version) } }
            @if let Some(text) = &summary.description { p { (foreign(text)) } }
            @if !self.mistakes.is_empty() || self.problem.is_some() {
                div.problem role="alert" {
                    p { strong { "Nothing was submitted." } }
                    p { @match &self.problem { Some(problem) => (problem), None => "What is wrong stands beside the fields." } }
                }
            }
            form method="post" action={ (address) "/submit" } {
                input type="hidden" name=(VERSION) value=(summary.version);
                (draw(&self.fields))
                (draw(self.more.as_slice()))
                @if let Some(schema) = self.template.body.get("input_schema").filter(|_| self.is_json()) {
                    details { summary { "What it has to be" } (json(schema, &document_address(summary))) }
                }
                (draw(&task_fields()))
                div.actions {
                    button.primary { "Submit" }
                    a href=(version_address(summary)) { "Cancel" }
                }
            }
        };
        Page::still(TEMPLATES, "Submit a task", content)
    }
}
