//! One version of a template: its steps, what they took, and what a task needs.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;
use tasker_shared::processes::{ProcessSummary, list_processes};
use tasker_shared::templates::{TemplateDetail, TemplateSummary};

use super::{
    MOST_STEPS, Step, document_address, find, statistics, tasks_address, version_address, versions,
};
use crate::ui::prelude::*;
use crate::ui::task::graph::{Node, graph};

/// Most versions that are listed; there are more to compare.
const MOST_VERSIONS: usize = 20;

/// Which template to show: where no version is named, the highest.
#[derive(Debug, Deserialize)]
pub(crate) struct TemplatePath {
    namespace: String,
    name: String,
    version: Option<String>,
}

pub(crate) async fn template(
    State(state): State<WebState>,
    PathParts(path): PathParts<TemplatePath>,
    _: NoParams,
) -> Result<Page, Problem> {
    let version = path.version.as_deref();
    let template = find(&state, &path.namespace, &path.name, version).await?;
    let TemplateDetail { summary, body } = &template;
    let steps = Vec::<Step>::deserialize(&body["steps"]).map_err(Problem::internal)?;
    let versions = versions(&state, summary).await?;
    let processes = state.database.call("list_processes", async |connection| {
        list_processes(connection).await
    });
    let processes = processes.await?;
    let workers = workers(&processes, &summary.namespace);
    let runs = statistics::of_steps(&state, summary).await?;
    let document = document_address(summary);
    let page = template_address(&summary.namespace, &summary.name);
    let content = html! {
        h1 { (summary.namespace) "/" wbr; (summary.name) " " span.note { (summary.version) } }
        @if let Some(text) = &summary.description { p { (foreign(text)) } }
        div.actions {
            a.button href={ (page) "/submit?version=" (summary.version) } { "Submit a task" }
            a href=(tasks_address(summary)) { "Tasks" }
            a href=(document) { "As JSON" }
        }
        @if let Some(newest) = versions.first().filter(|one| one.version != summary.version) {
            p.problem.mild { "Version " a href=(version_address(newest)) { (newest.version) } " is newer." }
        }
        (about(&template, &versions))
        h2 { "Steps" }
        (graph(&nodes(&steps)))
        (step_table(&steps, &workers, &document))
        (statistics::runs(&steps, &runs))
        @if let Some(schema) = body.get("input_schema") {
            h2 { "Input" }
            p { "What the context of a task has to be, as JSON Schema." }
            (json(schema, &document))
        }
    };
    Ok(Page::still(TEMPLATES, "Template", content))
}

/// How many live workers that take steps of a namespace know each handler.
fn workers<'a>(processes: &'a [ProcessSummary], namespace: &str) -> HashMap<&'a str, usize> {
    let mut workers = HashMap::new();
    for process in processes
        .iter()
        .filter(|it| !it.silent && it.places > Some(0))
    {
        if process.namespaces.is_empty() || process.namespaces.iter().any(|it| it == namespace) {
            for handler in &process.handlers {
                *workers.entry(handler.as_str()).or_default() += 1;
            }
        }
    }
    workers
}

fn about(template: &TemplateDetail, versions: &[TemplateSummary]) -> Markup {
    let TemplateDetail { summary, body } = template;
    let listed = html! {
        @for one in versions.iter().take(MOST_VERSIONS) {
            @if one.version == summary.version { b { (one.version) } }
            @else { a href=(version_address(one)) { (one.version) } } " "
        }
        @if versions.len() > MOST_VERSIONS { "… " }
        @if versions.len() > 1 {
            "· " a href={ (template_address(&summary.namespace, &summary.name)) "/compare" } { "Compare" }
        }
    };
    let retention = html! {
        @for (outcome, time) in body["retention"].as_object().into_iter().flatten() {
            div { (in_words(outcome)) ": " (time.as_str().unwrap_or_default()) }
        }
    };
    let search = html! {
        @for path in body["search"].as_array().into_iter().flatten() { code { (path.as_str().unwrap_or_default()) } " " }
    };
    facts([
        ("Applied", moment(summary.created_at)),
        ("Versions", listed),
        ("Tasks are kept", retention),
        ("Found by", search),
    ])
}

/// The steps to be drawn; each leads to its row in the table.
fn nodes(steps: &[Step]) -> Vec<Node<'_>> {
    let positions: HashMap<_, _> = steps.iter().map(|step| &step.name).zip(0..).collect();
    let drawn = steps.iter().map(|step| {
        let parents = step.depends_on.iter();
        Node {
            name: &step.name,
            depends_on: parents
                .filter_map(|name| positions.get(name).copied())
                .collect(),
            state: None,
            attempt: 0,
            href: format!("#s-{}", step.name),
        }
    });
    drawn.collect()
}

fn step_table(steps: &[Step], workers: &HashMap<&str, usize>, document: &str) -> Markup {
    let rows = steps.iter().take(MOST_STEPS).map(|step| {
        let cells = [
            html! { b { (step.name) } },
            html! { code { (step.handler) } },
            html! { (step.depends_on.join(", ")) },
            html! {
                (step.retry.max_attempts)
                @if step.retry.max_attempts > 1 { span.note {
                    " · " (step.retry.backoff.as_str()) ", " (milliseconds(step.retry.base_ms)) " to " (milliseconds(step.retry.max_ms))
                } }
            },
            html! { (milliseconds(step.timeout_ms)) },
            html! { @match workers.get(step.handler.as_str()) {
                None => span.mistake { "⚠ none" },
                Some(some) => (some),
            } },
            input(&step.input, document),
        ];
        (format!("s-{}", step.name), cells)
    });
    html! {
        (table("Steps", ["Step", "Handler", "Waits for", "Attempts", "# Timeout", "# Workers", "Input"], rows))
        @if steps.len() > MOST_STEPS {
            p.note { "The first " (MOST_STEPS) " of " (steps.len()) " steps. " a href=(document) { "All of them as JSON" } }
        }
    }
}

fn input(input: &Value, document: &str) -> Markup {
    let text = input.to_string();
    match text.len() {
        ..=2 => Markup::default(),
        3..=60 => html! { code { (text) } },
        _ => html! { details { summary { "Show" } (json(input, document)) } },
    }
}
