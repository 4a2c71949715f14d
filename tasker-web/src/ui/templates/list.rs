//! All templates, each in its highest version.

use axum::extract::State;
use maud::{Markup, html};
use serde::Deserialize;
use tasker_shared::templates::{NewestTemplate, newest_templates};

use super::{address, version_address};
use crate::extract::{self, Params};
use crate::problem::Problem;
use crate::state::WebState;
use crate::ui::frame::{Live, Page, Section};
use crate::ui::parts::{dash, empty, foreign, moment};

/// Templates on a page.
const PAGE: usize = 200;

/// A template that runs without any code, to begin with.
const FIRST: &str = "namespace: demo
name: hello
version: 1.0.0
steps:
  - { name: greet,  handler: builtin.echo, input: { text: hello } }
  - { name: wait,   handler: builtin.sleep, depends_on: [greet], input: { ms: 500 } }
  - { name: finish, handler: builtin.noop, depends_on: [wait] }
";

/// Which templates to list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListParams {
    #[serde(default, deserialize_with = "extract::namespace")]
    namespace: Option<String>,
    /// Only those behind this one, `namespace/name`.
    #[serde(default)]
    after: String,
}

pub(crate) async fn templates(
    State(state): State<WebState>,
    Params(params): Params<ListParams>,
) -> Result<Page<'static>, Problem> {
    let namespace = params.namespace.as_deref();
    let limit = i32::try_from(PAGE + 1).unwrap_or(i32::MAX);
    let mut templates = state
        .database
        .call("newest_templates", async |connection| {
            let after = params.after.split_once('/');
            newest_templates(connection, namespace, after, limit).await
        })
        .await?;
    let has_more = templates.len() > PAGE;
    templates.truncate(PAGE);
    let last = templates.last().filter(|_| has_more);
    Ok(Page {
        title: "Templates",
        section: Section::Templates,
        live: Live::Everything,
        content: html! {
            h1 { "Templates" @if let Some(namespace) = namespace { " of " (namespace) } }
            @if namespace.is_some() || !params.after.is_empty() {
                p { a href="/ui/templates" { "All templates" } }
            }
            @if templates.is_empty() { (nothing(namespace)) } @else { (table(&templates)) }
            @if let Some(NewestTemplate { summary: last, .. }) = last {
                nav.pages aria-label="Pages" {
                    a href={
                        "?after=" (last.namespace) "/" (last.name)
                        @if let Some(namespace) = namespace { "&namespace=" (namespace) }
                    } { "Next templates" }
                }
            }
        },
    })
}

fn table(templates: &[NewestTemplate]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Templates" {
            table {
                thead { tr {
                    th scope="col" { "Name" } th scope="col" { "Namespace" } th scope="col" { "Description" }
                    th.number scope="col" { "Steps" } th scope="col" { "Latest version" }
                    th scope="col" { "Applied" } th scope="col" { "Go to" }
                } }
                tbody { @for NewestTemplate { summary, versions } in templates {
                    tr data-row id={ "t-" (summary.namespace) "." (summary.name) } {
                        td { a href=(address(summary)) { (summary.name) } }
                        td { a href={ "/ui/templates?namespace=" (summary.namespace) } { (summary.namespace) } }
                        td.text { @match &summary.description { Some(text) => (foreign(text)), None => (dash()) } }
                        td.number { (summary.step_count) }
                        td {
                            a href=(version_address(summary)) { (summary.version) }
                            @if *versions > 1 { span.note { " of " (versions) } }
                        }
                        td { (moment(summary.created_at)) }
                        td.links {
                            a href={ (address(summary)) "/submit" } aria-label={ "Submit a task of " (summary.name) } { "Submit" } " "
                            a href=(tasks_address(summary)) aria-label={ "Tasks of " (summary.name) } { "Tasks" }
                        }
                    }
                } }
            }
        }
    }
}

/// The address of the list of a template's tasks.
pub(super) fn tasks_address(template: &tasker_shared::templates::TemplateSummary) -> String {
    format!(
        "/ui/tasks?namespace={}&name={}",
        template.namespace, template.name
    )
}

fn nothing(namespace: Option<&str>) -> Markup {
    let what = namespace.map_or_else(
        || "There is no template yet. A template names the steps of a workflow.".to_owned(),
        |namespace| format!("The namespace {namespace} has no templates."),
    );
    let advice = html! {
        p { "To begin, write this into a file " code { "hello.yaml" } ":" }
        pre tabindex="0" { (FIRST) }
        p { "Then apply it with " code { "tasker template apply hello.yaml" } ", or post it to this server: "
            code { "curl -H 'content-type: application/yaml' --data-binary @hello.yaml ADDRESS/v1/templates" } }
    };
    empty(&what, &advice)
}
