//! One version of a template: its steps, what they took, and what a task needs.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::extract::State;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;
use tasker_shared::processes::{ProcessSummary, list_processes};
use tasker_shared::templates::{TemplateDetail, TemplateSummary};
use tasker_shared::words;

use super::list::tasks_address;
use super::{MOST_VERSIONS, Step, address, find, statistics, version_address, versions};
use crate::extract::{Params, PathParts};
use crate::problem::Problem;
use crate::state::WebState;
use crate::ui::frame::{Live, Page, Section};
use crate::ui::parts::{dash, foreign, json, moment, number};

/// Most steps that a page lists.
const MOST_STEPS: usize = 500;

/// Most handlers that a warning names.
const MOST_HANDLERS: usize = 20;

/// What to show of a template.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShowParams {
    /// The time that statistics cover.
    #[serde(default)]
    period: statistics::Period,
}

pub(crate) async fn template(
    State(state): State<WebState>,
    PathParts((namespace, name)): PathParts<(String, String)>,
    Params(params): Params<ShowParams>,
) -> Result<Page<'static>, Problem> {
    show(
        &state,
        &find(&state, &namespace, &name, None).await?,
        params.period,
    )
    .await
}

pub(crate) async fn template_version(
    State(state): State<WebState>,
    PathParts((namespace, name, version)): PathParts<(String, String, String)>,
    Params(params): Params<ShowParams>,
) -> Result<Page<'static>, Problem> {
    let template = find(&state, &namespace, &name, Some(&version)).await?;
    show(&state, &template, params.period).await
}

async fn show(
    state: &WebState,
    template: &TemplateDetail,
    period: statistics::Period,
) -> Result<Page<'static>, Problem> {
    let TemplateDetail { summary, body } = template;
    let steps = Vec::<Step>::deserialize(&body["steps"]).map_err(Problem::internal)?;
    let versions = versions(state, summary).await?;
    let processes = state
        .database
        .call("list_processes", async |connection| {
            list_processes(connection).await
        })
        .await?;
    let workers: Vec<_> = processes
        .iter()
        .filter(|one| serves(one, &summary.namespace))
        .collect();
    let statistics = statistics::of_steps(state, summary, period).await?;
    let document = format!(
        "/v1/templates/{}/{}/{}",
        summary.namespace, summary.name, summary.version
    );
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
                @if versions.len() > 1 { a href={ (address(summary)) "/compare" } { "Compare versions" } }
                a href=(document) { "As JSON" }
            }
            @if let Some(newest) = versions.first().filter(|one| one.version != summary.version) {
                p.problem.mild { "Version " a href=(version_address(newest)) { (newest.version) } " is newer." }
            }
            (unknown_handlers(&steps, &workers, &summary.namespace))
            (facts(template))
            h2 { "Steps" }
            (step_table(&steps, &workers, &document))
            (statistics::table(&steps, &statistics, period))
            @if let Some(schema) = body.get("input_schema") {
                h2 { "Input" }
                p { "What the context of a task has to be, as JSON Schema." }
                (json(schema, &document))
            }
            (version_table(summary, &versions))
        },
    })
}

/// Whether a process takes steps of a namespace.
fn serves(process: &ProcessSummary, namespace: &str) -> bool {
    let namespaces = &process.namespaces;
    process.places.is_some_and(|places| places > 0)
        && !process.silent
        && (namespaces.is_empty() || namespaces.iter().any(|one| one == namespace))
}

fn knows(worker: &ProcessSummary, handler: &str) -> bool {
    worker.handlers.iter().any(|one| one == handler)
}

fn unknown_handlers(steps: &[Step], workers: &[&ProcessSummary], namespace: &str) -> Markup {
    let known: BTreeSet<&String> = workers.iter().flat_map(|one| &one.handlers).collect();
    let handlers: BTreeSet<&String> = steps.iter().map(|step| &step.handler).collect();
    let unknown: Vec<_> = handlers.difference(&known).collect();
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

fn facts(template: &TemplateDetail) -> Markup {
    let retention = template.body["retention"].as_object();
    let search = template.body["search"].as_array();
    html! {
        dl.facts {
            dt { "Applied" } dd { (moment(template.summary.created_at)) }
            @if let Some(retention) = retention {
                dt { "Tasks are kept" }
                dd { @for (outcome, time) in retention {
                    span.fact { (outcome.replace('_', " ")) ": " (time.as_str().unwrap_or_default()) } " "
                } }
            }
            @if let Some(search) = search {
                dt { "Found by" }
                dd { @for path in search { code { (path.as_str().unwrap_or_default()) } " " } }
            }
        }
    }
}

fn step_table(steps: &[Step], workers: &[&ProcessSummary], document: &str) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Steps" {
            table {
                thead { tr {
                    th scope="col" { "Step" } th scope="col" { "Handler" } th scope="col" { "Waits for" }
                    th scope="col" { "Attempts" } th.number scope="col" { "Timeout" } th.number scope="col" { "Workers" }
                    th scope="col" { "Input" }
                } }
                tbody { @for step in steps.iter().take(MOST_STEPS) {
                    tr id={ "s-" (step.name) } {
                        th.name scope="row" { (step.name) }
                        td { code { (step.handler) } }
                        td.text { @if step.depends_on.is_empty() { (dash()) } @else { (step.depends_on.join(", ")) } }
                        td.text { (attempts(step)) }
                        td.number { (words::duration(Duration::from_millis(step.timeout_ms))) }
                        td.number { @match workers.iter().filter(|one| knows(one, &step.handler)).count() {
                            0 => span.mistake { "⚠ none" },
                            some => (some),
                        } }
                        td { (input(&step.input, document)) }
                    }
                } }
            }
        }
        @if steps.len() > MOST_STEPS {
            p.note { "The first " (MOST_STEPS) " of " (number(i64::try_from(steps.len()).unwrap_or(i64::MAX)))
                " steps. " a href=(document) { "All of them as JSON" } }
        }
    }
}

/// `3, after 500 ms, doubled up to 1 min`
fn attempts(step: &Step) -> String {
    use tasker_shared::template::Backoff;

    let retry = &step.retry;
    let time = |ms| words::duration(Duration::from_millis(ms));
    if retry.max_attempts == 1 {
        return "1".to_owned();
    }
    let growth = match retry.backoff {
        Backoff::Fixed => String::new(),
        Backoff::Linear => format!(", growing evenly up to {}", time(retry.max_ms)),
        Backoff::Exponential => format!(", doubling up to {}", time(retry.max_ms)),
    };
    format!(
        "{}, after {}{growth}",
        retry.max_attempts,
        time(retry.base_ms)
    )
}

fn input(input: &Value, document: &str) -> Markup {
    let text = input.to_string();
    html! {
        @if text == "{}" { (dash()) }
        @else if text.len() <= 60 { code { (text) } }
        @else { details { summary { "Show" } (json(input, document)) } }
    }
}

fn version_table(shown: &TemplateSummary, versions: &[TemplateSummary]) -> Markup {
    html! {
        h2 { "Versions" }
        div.scroll tabindex="0" role="region" aria-label="Versions" {
            table {
                thead { tr {
                    th scope="col" { "Version" } th scope="col" { "Applied" } th.number scope="col" { "Steps" }
                    th scope="col" { "Compare" }
                } }
                tbody { @for version in versions {
                    tr data-row id={ "v-" (version.version) } {
                        td { a href=(version_address(version)) { (version.version) } }
                        td { (moment(version.created_at)) }
                        td.number { (version.step_count) }
                        td { @if version.version == shown.version { span.note { "shown here" } } @else {
                            a href={ (address(shown)) "/compare?from=" (version.version) "&to=" (shown.version) } {
                                "from " (version.version) " to " (shown.version)
                            }
                        } }
                    }
                } }
            }
        }
        @if versions.len() >= usize::try_from(MOST_VERSIONS).unwrap_or(usize::MAX) {
            p.note { "The " (MOST_VERSIONS) " highest versions." }
        }
    }
}
