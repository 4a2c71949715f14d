//! Templates in the database: applied once per version, listed and shown.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::error::Error;
use crate::template::Template;

/// What applying a template did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// Identity of this version in the database.
    pub template_id: i32,
    /// False when the same body was applied before.
    pub created: bool,
}

/// A version of a template, without its body.
#[derive(Debug, Clone, Serialize, sqlx::FromRow, ToSchema)]
pub struct TemplateSummary {
    /// Namespace whose workers run it.
    #[schema(example = "fulfillment")]
    pub namespace: String,
    /// Name within the namespace.
    #[schema(example = "order_fulfillment")]
    pub name: String,
    /// Version.
    #[schema(example = "1.0.0")]
    pub version: String,
    /// What it is for.
    #[schema(required)]
    pub description: Option<String>,
    /// How many steps it has.
    pub step_count: i32,
    /// When it was first applied.
    pub created_at: DateTime<Utc>,
}

/// A version of a template with everything it says.
#[derive(Debug, Clone, Serialize, sqlx::FromRow, ToSchema)]
#[schema(as = Template)]
pub struct TemplateDetail {
    /// The version itself.
    #[serde(flatten)]
    #[schema(inline)]
    #[sqlx(flatten)]
    pub summary: TemplateSummary,
    /// The template document with its defaults filled in.
    pub body: Value,
}

/// The highest version of a template, and how many there are.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct NewestTemplate {
    /// The highest version.
    #[sqlx(flatten)]
    pub summary: TemplateSummary,
    /// How many versions there are.
    pub versions: i64,
}

/// Stores a version of a template; the same body again changes nothing.
///
/// # Errors
/// A conflict when the version exists with another body; invalid input when the input schema uses
/// what the engine does not honour.
pub async fn apply_template(
    connection: &mut PgConnection,
    template: &Template,
) -> Result<Applied, Error> {
    let (template_id, created) =
        sqlx::query_as("select template_id, created from tasker.apply_template($1)")
            .bind(template.document())
            .fetch_one(connection)
            .await?;
    Ok(Applied {
        template_id,
        created,
    })
}

/// The columns of a summary.
const LIST: &str = "\
    select namespace, name, version, description, step_count, created_at \
    from tasker.templates \
    where $1::text is null or namespace = $1 \
    order by namespace, name, version_order";

/// Every version of every template, by namespace, name and version.
pub async fn list_templates(
    connection: &mut PgConnection,
    namespace: Option<&str>,
) -> Result<Vec<TemplateSummary>, Error> {
    Ok(sqlx::query_as(LIST)
        .bind(namespace)
        .fetch_all(connection)
        .await?)
}

/// Templates in their highest versions, by namespace and name: at most `limit`, of one namespace where
/// it is given.
pub async fn newest_templates(
    connection: &mut PgConnection,
    namespace: Option<&str>,
    limit: i32,
) -> Result<Vec<NewestTemplate>, Error> {
    Ok(sqlx::query_as(
        "select distinct on (namespace, name) \
           namespace, name, version, description, step_count, created_at, \
           count(*) over (partition by namespace, name) as versions \
         from tasker.templates \
         where $1::text is null or namespace = $1 \
         order by namespace, name, version_order desc \
         limit $2",
    )
    .bind(namespace)
    .bind(limit)
    .fetch_all(connection)
    .await?)
}

/// The versions of a template, the highest first: at most `limit`.
pub async fn template_versions(
    connection: &mut PgConnection,
    namespace: &str,
    name: &str,
    limit: i32,
) -> Result<Vec<TemplateSummary>, Error> {
    Ok(sqlx::query_as(
        "select namespace, name, version, description, step_count, created_at \
         from tasker.templates \
         where namespace = $1 and name = $2 \
         order by version_order desc \
         limit $3",
    )
    .bind(namespace)
    .bind(name)
    .bind(limit)
    .fetch_all(connection)
    .await?)
}

/// One version of a template; the highest where none is named.
///
/// # Errors
/// A refusal of kind not-found when there is no such template or version.
pub async fn show_template(
    connection: &mut PgConnection,
    namespace: &str,
    name: &str,
    version: Option<&str>,
) -> Result<TemplateDetail, Error> {
    Ok(sqlx::query_as(
        "select namespace, name, version, description, step_count, created_at, body \
         from tasker.templates \
         where template_id = tasker.find_template($1, $2, $3)",
    )
    .bind(namespace)
    .bind(name)
    .bind(version)
    .fetch_one(connection)
    .await?)
}
