//! Templates: listed, shown, compared, and submitted by a form.

mod compare;
mod fields;
mod form;
mod inputs;
mod list;
mod show;
mod statistics;
mod submit;

use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;
use tasker_shared::template::RetryPolicy;
use tasker_shared::templates::{self, TemplateDetail, TemplateSummary};

use crate::problem::Problem;
use crate::state::WebState;

pub(crate) use compare::compare;
pub(crate) use list::templates;
pub(crate) use show::template;
pub(crate) use submit::{show_form, submit};

/// Most versions that a page lists.
const MOST_VERSIONS: i32 = 100;

/// Characters of a text, a value or a line that a page shows.
const MOST_CHARS: usize = 300;

/// A step, as the document of a template has it.
#[derive(Debug, Deserialize)]
struct Step {
    name: String,
    handler: String,
    depends_on: Vec<String>,
    input: Value,
    retry: RetryPolicy,
    timeout_ms: u64,
}

/// The address of a template's page.
fn address(template: &TemplateSummary) -> String {
    format!("/ui/templates/{}/{}", template.namespace, template.name)
}

/// The address of the list of a template's tasks.
fn tasks_address(template: &TemplateSummary) -> String {
    format!(
        "/ui/tasks?namespace={}&name={}",
        template.namespace, template.name
    )
}

/// The address of a version's page.
fn version_address(template: &TemplateSummary) -> String {
    format!("{}/{}", address(template), template.version)
}

/// The address of a version's document.
fn document_address(template: &TemplateSummary) -> String {
    format!(
        "/v1/templates/{}/{}/{}",
        template.namespace, template.name, template.version
    )
}

async fn find(
    state: &WebState,
    namespace: &str,
    name: &str,
    version: Option<&str>,
) -> Result<TemplateDetail, Problem> {
    let template = state
        .database
        .call("show_template", async |connection| {
            templates::show_template(connection, namespace, name, version).await
        })
        .await?;
    Ok(template)
}

async fn versions(
    state: &WebState,
    template: &TemplateSummary,
) -> Result<Vec<TemplateSummary>, Problem> {
    let versions = state
        .database
        .call("template_versions", async |connection| {
            let (namespace, name) = (&template.namespace, &template.name);
            templates::template_versions(connection, namespace, name, MOST_VERSIONS).await
        })
        .await?;
    Ok(versions)
}

/// A table of these rows. The head of a column of numbers begins with `# `.
fn table(label: &str, heads: &[&str], rows: &Markup) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(label) {
            table {
                thead { tr { @for head in heads {
                    @match head.strip_prefix("# ") {
                        Some(head) => th.number scope="col" { (head) },
                        None => th scope="col" { (head) },
                    }
                } } }
                tbody { (rows) }
            }
        }
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MOST_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
