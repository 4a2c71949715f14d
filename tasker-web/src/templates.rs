//! Templates: applied, listed and shown.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tasker_shared::template::{Template, TemplateError, TemplateErrors};
use tasker_shared::templates::{self, TemplateDetail, TemplateSummary};
use tokio::task::spawn_blocking;
use utoipa::{IntoParams, ToSchema};

use crate::extract::{self, NoParams, Params, PathParts, body_bytes, media_type, unsupported};
use crate::problem::{Kind, Mistake, Problem};
use crate::state::WebState;
use crate::storable_json::refuse_unstorable;

/// Which templates to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParams {
    /// Only templates of this namespace; none where it is not there.
    #[serde(default, deserialize_with = "extract::namespace")]
    #[param(pattern = "^[a-z][a-z0-9_]{0,28}$")]
    namespace: Option<String>,
}

/// Which version to show.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct VersionParams {
    /// The version; the highest where none is named.
    version: Option<String>,
}

/// Every version of every template, by namespace, name and version.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TemplateList {
    templates: Vec<TemplateSummary>,
}

/// What applying a template did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AppliedTemplate {
    #[schema(example = "fulfillment")]
    namespace: String,
    #[schema(example = "order_fulfillment")]
    name: String,
    #[schema(example = "1.0.0")]
    version: String,
    /// False when the same body was applied before.
    created: bool,
}

/// The formats that a template is read from.
#[derive(Debug, Clone, Copy)]
enum Format {
    Json,
    Yaml,
}

impl Format {
    fn of(media_type: Option<&str>) -> Result<Self, Problem> {
        match media_type {
            Some("application/json") => Ok(Self::Json),
            Some("application/yaml" | "application/x-yaml" | "text/yaml" | "text/x-yaml") => {
                Ok(Self::Yaml)
            }
            other => Err(unsupported(other, "application/yaml or application/json")),
        }
    }

    fn parse(self, text: &str) -> Result<Template, TemplateErrors> {
        match self {
            Self::Json => Template::parse_json(text),
            Self::Yaml => Template::parse_yaml(text),
        }
    }
}

/// Apply a template
///
/// A version never changes: the same body again answers with status 200 and changes nothing,
/// another body under the same version is a conflict. A template with mistakes is refused with all
/// of them.
#[utoipa::path(
    post,
    path = "/v1/templates",
    tag = "templates",
    request_body(
        content(
            (ref("#/components/schemas/TemplateDocument") = "application/yaml"),
            (ref("#/components/schemas/TemplateDocument") = "application/json"),
        ),
    ),
    responses(
        (status = 201, body = AppliedTemplate, description = "The version was stored.",
         headers(("location" = String, description = "The path of the version"))),
        (status = 200, body = AppliedTemplate, description = "The version had this body already.",
         headers(("location" = String, description = "The path of the version"))),
        (status = 409, response = Problem),
    ),
)]
pub(crate) async fn apply_template(
    State(state): State<WebState>,
    request: Request,
) -> Result<Response, Problem> {
    let format = Format::of(media_type(request.headers()).as_deref())?;
    let bytes = body_bytes(request).await?;
    let text = String::from_utf8(bytes.into()).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Problem::new(
            Kind::InvalidRequest,
            format!("the body is not UTF-8 from byte {at} on"),
        )
    })?;
    // Reading a large template takes longer than a thread of the runtime should be held.
    let template = spawn_blocking(move || format.parse(&text))
        .await
        .map_err(Problem::internal)?
        .map_err(|errors| invalid_template(&errors))?;
    refuse_unstorable("template", &template.document())?;
    let applied = state
        .database
        .call("apply_template", async |connection| {
            templates::apply_template(connection, &template).await
        })
        .await?;
    let status = if applied.created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let location = format!(
        "/v1/templates/{}/{}/{}",
        template.namespace, template.name, template.version
    );
    let answer = AppliedTemplate {
        namespace: template.namespace,
        name: template.name,
        version: template.version,
        created: applied.created,
    };
    Ok((status, [(LOCATION, location)], Json(answer)).into_response())
}

fn invalid_template(errors: &TemplateErrors) -> Problem {
    let detail = match errors.as_slice() {
        [only] => only.to_string(),
        errors => format!("the template has {} mistakes", errors.len()),
    };
    let mistakes = errors.as_slice().iter().map(mistake).collect();
    Problem::new(Kind::InvalidTemplate, detail).errors(mistakes)
}

fn mistake(error: &TemplateError) -> Mistake {
    Mistake {
        line: error.line,
        column: error.column,
        path: error.path.clone(),
        message: error.message.clone(),
        hint: error.hint.clone(),
    }
}

/// List templates
#[utoipa::path(
    get,
    path = "/v1/templates",
    tag = "templates",
    params(ListParams),
    responses((status = 200, body = TemplateList, description = "All versions.")),
)]
pub(crate) async fn list_templates(
    State(state): State<WebState>,
    Params(params): Params<ListParams>,
) -> Result<Json<TemplateList>, Problem> {
    let templates = state
        .database
        .call("list_templates", async |connection| {
            templates::list_templates(connection, params.namespace.as_deref()).await
        })
        .await?;
    Ok(Json(TemplateList { templates }))
}

/// Show a template
#[utoipa::path(
    get,
    path = "/v1/templates/{namespace}/{name}",
    tag = "templates",
    params(
        ("namespace" = String, Path, description = "Namespace of the template"),
        ("name" = String, Path, description = "Name of the template"),
        VersionParams,
    ),
    responses(
        (status = 200, body = TemplateDetail, description = "The version."),
    ),
)]
pub(crate) async fn show_template(
    State(state): State<WebState>,
    PathParts((namespace, name)): PathParts<(String, String)>,
    Params(params): Params<VersionParams>,
) -> Result<Json<TemplateDetail>, Problem> {
    show(&state, &namespace, &name, params.version.as_deref()).await
}

/// Show a version of a template
#[utoipa::path(
    get,
    path = "/v1/templates/{namespace}/{name}/{version}",
    tag = "templates",
    params(
        ("namespace" = String, Path, description = "Namespace of the template"),
        ("name" = String, Path, description = "Name of the template"),
        ("version" = String, Path, description = "The version"),
    ),
    responses(
        (status = 200, body = TemplateDetail, description = "The version."),
    ),
)]
pub(crate) async fn show_template_version(
    State(state): State<WebState>,
    PathParts((namespace, name, version)): PathParts<(String, String, String)>,
    _: NoParams,
) -> Result<Json<TemplateDetail>, Problem> {
    show(&state, &namespace, &name, Some(&version)).await
}

async fn show(
    state: &WebState,
    namespace: &str,
    name: &str,
    version: Option<&str>,
) -> Result<Json<TemplateDetail>, Problem> {
    let template = state
        .database
        .call("show_template", async |connection| {
            templates::show_template(connection, namespace, name, version).await
        })
        .await?;
    Ok(Json(template))
}

/// The JSON Schema of templates, for editors
#[utoipa::path(
    get,
    path = "/schemas/template.json",
    tag = "templates",
    responses((
        status = 200,
        body = serde_json::Value,
        content_type = "application/schema+json",
        description = "The schema, in JSON Schema 2020-12.",
    )),
)]
pub(crate) async fn template_schema() -> Response {
    let headers = [(CONTENT_TYPE, "application/schema+json")];
    (headers, Json(Template::json_schema())).into_response()
}
