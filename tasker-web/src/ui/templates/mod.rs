//! Templates: listed, shown, compared, and submitted by a form.

mod compare;
mod list;
mod schema;
mod show;
mod statistics;
mod submit;

use crate::ui::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use tasker_shared::template::RetryPolicy;
use tasker_shared::templates::{self, TemplateDetail, TemplateSummary};

pub(crate) use compare::compare;
pub(crate) use list::{first_steps, templates};
pub(crate) use show::template;
pub(crate) use submit::{show_form, submit};

/// Most versions that a page lists.
const MOST_VERSIONS: i32 = 100;

/// Most steps that a page lists.
const MOST_STEPS: usize = 500;

/// Characters of a text or a line that a page shows.
const MOST_CHARACTERS: usize = 300;

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

/// The address of the list of a template's tasks.
fn tasks_address(template: &TemplateSummary) -> String {
    let template = [
        ("namespace", &*template.namespace),
        ("name", &template.name),
    ];
    address(TASKS, &template)
}

/// The address of a version's page.
fn version_address(template: &TemplateSummary) -> String {
    let address = template_address(&template.namespace, &template.name);
    format!("{address}/{}", template.version)
}

/// The address of a version's document.
fn document_address(template: &TemplateSummary) -> String {
    version_address(template).replacen("/ui", "/v1", 1)
}

async fn find(
    state: &WebState,
    namespace: &str,
    name: &str,
    version: Option<&str>,
) -> Result<TemplateDetail, Problem> {
    let shown = state.database.call("show_template", async |connection| {
        templates::show_template(connection, namespace, name, version).await
    });
    Ok(shown.await?)
}

async fn versions(
    state: &WebState,
    template: &TemplateSummary,
) -> Result<Vec<TemplateSummary>, Problem> {
    let (namespace, name) = (&template.namespace, &template.name);
    let versions = state
        .database
        .call("template_versions", async |connection| {
            templates::template_versions(connection, namespace, name, MOST_VERSIONS).await
        });
    Ok(versions.await?)
}
