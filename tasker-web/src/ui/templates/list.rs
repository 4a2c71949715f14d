//! All templates, each in its highest version.

use serde::Deserialize;
use tasker_shared::templates::{NewestTemplate, newest_templates};

use super::{MOST_CHARACTERS, tasks_address, version_address};
use crate::extract;
use crate::ui::prelude::*;

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
) -> Result<Page, Problem> {
    let templates = state.database.call("newest_templates", async |connection| {
        newest_templates(connection, namespace.as_deref(), MOST_TEMPLATES).await
    });
    let templates = templates.await?;
    let content = html! {
        h1 { "Templates" @if let Some(namespace) = &namespace { " of " (namespace) } }
        @if namespace.is_some() { p { a href=(TEMPLATES) { "All templates" } } }
        @if templates.is_empty() {
            (first_steps(&namespace.map_or("There is no template yet.".to_owned(), |it| format!("The namespace {it} has no templates."))))
        }
        @else { (table("Templates",
            ["Name", "Namespace", "Description", "# Steps", "Latest version", "Applied", "Go to"],
            templates.iter().map(row))) }
        @if i32::try_from(templates.len()) == Ok(MOST_TEMPLATES) { p.note {
            "The first " (MOST_TEMPLATES) " templates. Choose a namespace, or see " a href="/v1/templates" { "all of them as JSON" } "."
        } }
    };
    Ok(Page::live(TEMPLATES, "Templates", content))
}

fn row(NewestTemplate { summary, versions }: &NewestTemplate) -> (String, [Markup; 7]) {
    let (namespace, name) = (&summary.namespace, &summary.name);
    let page = template_address(namespace, name);
    let description = summary.description.as_deref().unwrap_or_default();
    let cells = [
        html! { a href=(page) { (name) } },
        html! { a href=(address(TEMPLATES, &[("namespace", namespace)])) { (namespace) } },
        html! { @if !description.is_empty() { div.text { (foreign(&shortened(description, MOST_CHARACTERS))) } } },
        html! { (number(summary.step_count)) },
        html! {
            a href=(version_address(summary)) { (summary.version) }
            @if *versions > 1 { span.note { " of " (versions) } }
        },
        moment(summary.created_at),
        html! {
            a href={ (page) "/submit" } aria-label={ "Submit a task of " (name) } { "Submit" } " · "
            a href=(tasks_address(summary)) aria-label={ "Tasks of " (name) } { "Tasks" }
        },
    ];
    (format!("t-{namespace}.{name}"), cells)
}

/// What to do where there is nothing yet.
pub(crate) fn first_steps(what: &str) -> Markup {
    let advice = html! {
        p { "A template names the steps of a workflow, and a task is one run of it. To begin, write this into a file " code { "hello.yaml" } ":" }
        pre tabindex="0" { (FIRST) }
        p { "Then apply it with " code { "tasker template apply hello.yaml" } ", or post it to this server: "
            code { "curl -H 'content-type: application/yaml' --data-binary @hello.yaml ADDRESS/v1/templates" } }
    };
    empty(what, &advice)
}
