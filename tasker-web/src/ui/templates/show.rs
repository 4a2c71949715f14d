//! One version of a template: its steps, what they took, and what a task needs.

use std::collections::{BTreeSet, HashMap};

use axum::extract::State;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;
use tasker_shared::processes::{ProcessSummary, list_processes};
use tasker_shared::templates::{TemplateDetail, TemplateSummary};
use tasker_shared::words;

use super::statistics::{self, ShowParams};
use super::{
    Step, address, document_address, find, table, tasks_address, version_address, versions,
};
use crate::extract::{Params, PathParts};
use crate::problem::Problem;
use crate::state::WebState;
use crate::ui::frame::{Live, Page, Section};
use crate::ui::parts::{dash, foreign, in_words, json, moment};
use crate::ui::task::graph::{Node, graph};

/// Most steps that a page lists.
const MOST_STEPS: usize = 500;

/// Most versions that are listed; there are more to compare.
const MOST_VERSIONS: usize = 20;

/// Most handlers that a warning names.
const MOST_HANDLERS: usize = 20;

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
    Params(params): Params<ShowParams>,
) -> Result<Page<'static>, Problem> {
    let version = path.version.as_deref();
    let template = find(&state, &path.namespace, &path.name, version).await?;
    let TemplateDetail { summary, body } = &template;
    let steps = Vec::<Step>::deserialize(&body["steps"]).map_err(Problem::internal)?;
    let versions = versions(&state, summary).await?;
    let processes = state
        .database
        .call("list_processes", async |connection| {
            list_processes(connection).await
        })
        .await?;
    let workers = workers(&processes, &summary.namespace);
    let runs = statistics::of_steps(&state, summary, params.period()).await?;
    let document = document_address(summary);
    Ok(Page {
        title: "Template",
        section: Section::Templates,
        live: Live::No,
        content: html! {
            h1 { (summary.namespace) "/" wbr; (summary.name) " " span.note { (summary.version) } }
            @if let Some(text) = &summary.description { p { (foreign(text)) } }
            div.actions {
                a.button href={ (address(summary)) "/submit?version=" (summary.version) } { "Submit a task" }
                a href=(tasks_address(summary)) { "Tasks" }
                a href=(document) { "As JSON" }
            }
            @if let Some(newest) = versions.first().filter(|one| one.version != summary.version) {
                p.problem.mild { "Version " a href=(version_address(newest)) { (newest.version) } " is newer." }
            }
            (unknown_handlers(&steps, &workers, &summary.namespace))
            (facts(&template, &versions))
            h2 { "Steps" }
            (graph(&nodes(&steps)))
            (step_table(&steps, &workers, &document))
            (statistics::runs(&steps, &runs, params.period()))
            @if let Some(schema) = body.get("input_schema") {
                h2 { "Input" }
                p { "What the context of a task has to be, as JSON Schema." }
                (json(schema, &document))
            }
        },
    })
}

/// How many live workers of a namespace know each handler.
fn workers<'a>(processes: &'a [ProcessSummary], namespace: &str) -> HashMap<&'a str, usize> {
    let mut workers = HashMap::new();
    for process in processes.iter().filter(|one| serves(one, namespace)) {
        for handler in &process.handlers {
            *workers.entry(handler.as_str()).or_default() += 1;
        }
    }
    workers
}

/// Whether a process takes steps of a namespace.
fn serves(process: &ProcessSummary, namespace: &str) -> bool {
    let namespaces = &process.namespaces;
    process.places.is_some_and(|places| places > 0)
        && !process.silent
        && (namespaces.is_empty() || namespaces.iter().any(|one| one == namespace))
}

fn unknown_handlers(steps: &[Step], workers: &HashMap<&str, usize>, namespace: &str) -> Markup {
    let handlers = steps.iter().map(|step| step.handler.as_str());
    let unknown: BTreeSet<&str> = handlers
        .filter(|name| !workers.contains_key(name))
        .collect();
    html! {
        @if !unknown.is_empty() {
            div.problem.mild {
                p { strong { @if workers.is_empty() { "No worker serves " (namespace) " at the moment." }
                    @else { "No live worker knows " (words::count(unknown.len(), "handler")) " of this template." } } }
                p { "Steps wait until a worker starts that knows "
                    @for handler in unknown.iter().take(MOST_HANDLERS) { code { (handler) } " " }
                    @if unknown.len() > MOST_HANDLERS { "and others" } }
                p { a href="/ui/processes" { "See the processes" } }
            }
        }
    }
}

fn facts(template: &TemplateDetail, versions: &[TemplateSummary]) -> Markup {
    let TemplateDetail { summary, body } = template;
    html! {
        dl.facts {
            dt { "Applied" } dd { (moment(summary.created_at)) }
            dt { "Versions" }
            dd {
                @for one in versions.iter().take(MOST_VERSIONS) {
                    @if one.version == summary.version { b { (one.version) } }
                    @else { a href=(version_address(one)) { (one.version) } } " "
                }
                @if versions.len() > MOST_VERSIONS { "… " }
                @if versions.len() > 1 { "· " a href={ (address(summary)) "/compare" } { "Compare" } }
            }
            @if let Some(retention) = body["retention"].as_object() {
                dt { "Tasks are kept" }
                dd { @for (outcome, time) in retention {
                    div { (in_words(outcome)) ": " (time.as_str().unwrap_or_default()) }
                } }
            }
            @if let Some(search) = body["search"].as_array() {
                dt { "Found by" }
                dd { @for path in search { code { (path.as_str().unwrap_or_default()) } " " } }
            }
        }
    }
}

/// The steps to be drawn; each leads to its row in the table.
fn nodes(steps: &[Step]) -> Vec<Node<'_>> {
    let numbered = steps.iter().enumerate();
    let positions: HashMap<_, _> = numbered.map(|(at, step)| (&step.name, at)).collect();
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
    let rows = html! { @for step in steps.iter().take(MOST_STEPS) {
        tr id={ "s-" (step.name) } {
            th.name scope="row" { (step.name) }
            td { code { (step.handler) } }
            td.text { @if step.depends_on.is_empty() { (dash()) } @else { (step.depends_on.join(", ")) } }
            td.text {
                (step.retry.max_attempts)
                @if step.retry.max_attempts > 1 { span.note {
                    " · " (step.retry.backoff.as_str()) ", " (setting(step.retry.base_ms)) " to " (setting(step.retry.max_ms))
                } }
            }
            td.number { (setting(step.timeout_ms)) }
            td.number { @match workers.get(step.handler.as_str()) {
                None => span.mistake { "⚠ none" },
                Some(some) => (some),
            } }
            td { (input(&step.input, document)) }
        }
    } };
    let heads = [
        "Step",
        "Handler",
        "Waits for",
        "Attempts",
        "# Timeout",
        "# Workers",
        "Input",
    ];
    html! {
        (table("Steps", &heads, &rows))
        @if steps.len() > MOST_STEPS {
            p.note { "The first " (MOST_STEPS) " of " (steps.len()) " steps. " a href=(document) { "All of them as JSON" } }
        }
    }
}

/// A time that a template sets, in the largest unit that it is a whole number of.
fn setting(ms: u64) -> String {
    match ms {
        1.. if ms.is_multiple_of(60_000) => format!("{} min", ms / 60_000),
        1.. if ms.is_multiple_of(1_000) => format!("{} s", ms / 1_000),
        _ => format!("{ms} ms"),
    }
}

fn input(input: &Value, document: &str) -> Markup {
    let text = input.to_string();
    match text.len() {
        ..=2 => dash(),
        3..=60 => html! { code { (text) } },
        _ => html! { details { summary { "Show" } (json(input, document)) } },
    }
}
