//! All templates, each in its highest version.

use axum::extract::State;
use maud::{Markup, html};
use serde::Deserialize;
use tasker_shared::templates::{NewestTemplate, newest_templates};

use super::{address, shortened, table, tasks_address, version_address};
use crate::extract::{self, Params};
use crate::problem::Problem;
use crate::state::WebState;
use crate::ui::frame::{Live, Page, Section};
use crate::ui::parts::{dash, empty, foreign, moment};

/// Most templates that the page lists.
const MOST_TEMPLATES: i32 = 500;

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
}

pub(crate) async fn templates(
    State(state): State<WebState>,
    Params(ListParams { namespace }): Params<ListParams>,
) -> Result<Page<'static>, Problem> {
    let templates = state
        .database
        .call("newest_templates", async |connection| {
            newest_templates(connection, namespace.as_deref(), MOST_TEMPLATES).await
        })
        .await?;
    let is_full = i32::try_from(templates.len()) == Ok(MOST_TEMPLATES);
    Ok(Page {
        title: "Templates",
        section: Section::Templates,
        live: Live::Everything,
        content: html! {
            h1 { "Templates" @if let Some(namespace) = &namespace { " of " (namespace) } }
            @if namespace.is_some() { p { a href="/ui/templates" { "All templates" } } }
            @if templates.is_empty() { (nothing(namespace.as_deref())) } @else { (rows(&templates)) }
            @if is_full { p.note {
                "The first " (MOST_TEMPLATES) " templates. Choose a namespace, or see " a href="/v1/templates" { "all of them as JSON" } "."
            } }
        },
    })
}

fn rows(templates: &[NewestTemplate]) -> Markup {
    let rows = html! { @for NewestTemplate { summary, versions } in templates {
        tr data-row id={ "t-" (summary.namespace) "." (summary.name) } {
            td { a href=(address(summary)) { (summary.name) } }
            td { a href={ "/ui/templates?namespace=" (summary.namespace) } { (summary.namespace) } }
            td.text { @match &summary.description { Some(text) => (foreign(&shortened(text))), None => (dash()) } }
            td.number { (summary.step_count) }
            td {
                a href=(version_address(summary)) { (summary.version) }
                @if *versions > 1 { span.note { " of " (versions) } }
            }
            td { (moment(summary.created_at)) }
            td.links {
                a href={ (address(summary)) "/submit" } aria-label={ "Submit a task of " (summary.name) } { "Submit" } " · "
                a href=(tasks_address(summary)) aria-label={ "Tasks of " (summary.name) } { "Tasks" }
            }
        }
    } };
    let heads = [
        "Name",
        "Namespace",
        "Description",
        "# Steps",
        "Latest version",
        "Applied",
        "Go to",
    ];
    table("Templates", &heads, &rows)
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
