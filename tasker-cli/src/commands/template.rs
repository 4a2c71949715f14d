//! `tasker template`: stores workflow templates and shows them.

use std::path::PathBuf;

use serde_json::{Value, json};
use sqlx::Connection;
use tasker_shared::database::Database;
use tasker_shared::template::{Template, TemplateErrors};
use tasker_shared::templates::{Applied, apply_template, list_templates, show_template};

use crate::commands::reading::{Source, TemplateName};
use crate::drawing::Paint;
use crate::failure::Failure;
use crate::format::{count, moment, one_line};
use crate::output::{Output, verbatim};
use crate::setup::Setup;
use crate::table::{Table, plain};

const EXAMPLES: &str = "\
Examples:
  tasker template validate order.yaml
  tasker template apply order.yaml refund.yaml
  generate-template | tasker template apply -
  tasker template schema > tasker-template.schema.json";

/// Commands about templates.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// Store templates, all of the files or none; an unchanged one is left as it is
    Apply(Files),
    /// Check templates without a database
    Validate(Files),
    /// List the stored templates with their versions
    List {
        /// Only templates of this namespace
        #[arg(long, value_name = "NS")]
        namespace: Option<String>,
    },
    /// Print a stored template with every default written out
    Show {
        /// Which template; the highest version where none is named
        #[arg(value_name = "NAMESPACE/NAME[@VERSION]")]
        template: TemplateName,
    },
    /// Print the JSON Schema of the template format, for editors
    Schema,
}

/// The files of a command.
#[derive(Debug, clap::Args)]
pub(crate) struct Files {
    /// Files in YAML or JSON; - reads standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// Runs one of the commands.
pub(crate) async fn run(command: Command, setup: &Setup) -> Result<(), Failure> {
    let output = setup.output();
    match command {
        Command::Apply(files) => {
            let templates = read_all(&files, output, Verdict::OfMistakes)?;
            let applied = apply_all(&setup.database().await?, &templates).await?;
            report_applied(&templates, &applied, output)
        }
        Command::Validate(files) => read_all(&files, output, Verdict::OfEach).map(drop),
        Command::List { namespace } => list(namespace.as_deref(), setup).await,
        Command::Show { template } => show(&template, setup).await,
        Command::Schema => {
            let schema = serde_json::to_string_pretty(&Template::json_schema())
                .map_err(|error| Failure::new(format!("could not write the schema: {error}")))?;
            verbatim(&format!("{schema}\n"))
        }
    }
}

/// Which files are spoken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    OfMistakes,
    OfEach,
}

/// Reads the files; says what is wrong with each that cannot be used, and fails if there is one.
fn read_all(
    files: &Files,
    output: Output,
    verdict: Verdict,
) -> Result<Vec<(Source, Template)>, Failure> {
    let mut templates = Vec::new();
    let mut verdicts = Vec::new();
    let mut refused = Vec::new();
    for file in &files.files {
        let source = Source::read(file)?;
        let parsed = if file
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            Template::parse_json(&source.text)
        } else {
            Template::parse_yaml(&source.text)
        };
        match parsed {
            Ok(template) => {
                verdicts.push(json!({ "file": source.name, "valid": true, "errors": [] }));
                if verdict == Verdict::OfEach {
                    let steps = count(template.steps.len(), "step");
                    let name = full_name(&template);
                    output.text(format!("{}: {name} is valid ({steps})", source.name))?;
                }
                templates.push((source, template));
            }
            Err(errors) => {
                verdicts.push(json!({ "file": source.name, "valid": false, "errors": errors }));
                refused.push(mistakes(&source.name, &errors));
            }
        }
    }
    if verdict == Verdict::OfEach || !refused.is_empty() {
        let valid = refused.is_empty();
        output.document(&json!({ "valid": valid, "files": verdicts }))?;
    }
    if refused.is_empty() {
        return Ok(templates);
    }
    let refused = refused.join("\n");
    Err(if verdict == Verdict::OfMistakes {
        Failure::new(refused).hint("nothing was applied")
    } else {
        Failure::new(refused)
    })
}

/// The mistakes in a file, each as `file:line:column: place: what (hint)`, as compilers write them.
fn mistakes(file: &str, errors: &TemplateErrors) -> String {
    let mut lines = vec![format!(
        "{file} is no usable template: {}",
        count(errors.as_slice().len(), "mistake")
    )];
    lines.extend(errors.as_slice().iter().map(|error| {
        let position = [error.line, error.column].into_iter().flatten();
        let position: String = position
            .flat_map(|n| [":".to_owned(), n.to_string()])
            .collect();
        let path = match error.path.as_str() {
            "" => String::new(),
            path => format!("{path}: "),
        };
        let hint = error.hint.as_deref().map(one_line);
        let hint = hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!(
            "  {file}{position}: {path}{}{hint}",
            one_line(&error.message)
        )
    }));
    lines.join("\n")
}

async fn apply_all(
    database: &Database,
    templates: &[(Source, Template)],
) -> Result<Vec<Applied>, Failure> {
    let applied = database.call("apply_templates", async |connection| {
        let mut transaction = connection.begin().await?;
        let mut applied = Vec::with_capacity(templates.len());
        for (source, template) in templates {
            match apply_template(&mut transaction, template).await {
                Ok(one) => applied.push(one),
                Err(error) => {
                    let failure = Failure::from(error).while_doing(&source.name);
                    return Ok(Err(failure.hint("nothing was applied")));
                }
            }
        }
        transaction.commit().await?;
        Ok(Ok(applied))
    });
    applied.await?
}

fn report_applied(
    templates: &[(Source, Template)],
    applied: &[Applied],
    output: Output,
) -> Result<(), Failure> {
    let mut documents = Vec::new();
    for ((_, template), applied) in templates.iter().zip(applied) {
        documents.push(json!({
            "namespace": template.namespace,
            "name": template.name,
            "version": template.version,
            "created": applied.created,
        }));
        let name = full_name(template);
        output.text(if applied.created {
            let steps = count(template.steps.len(), "step");
            format!("applied {name} ({steps})")
        } else {
            format!("unchanged {name}")
        })?;
    }
    output.document(&json!({ "templates": documents }))
}

async fn list(namespace: Option<&str>, setup: &Setup) -> Result<(), Failure> {
    let output = setup.output();
    let templates = setup
        .database()
        .await?
        .call("list_templates", async |connection| {
            list_templates(connection, namespace).await
        })
        .await?;
    output.document(&json!({ "templates": templates }))?;
    if templates.is_empty() {
        return output.text("no templates: `tasker template apply FILE` stores one");
    }
    let mut table = Table::new(&["TEMPLATE", "STEPS", "APPLIED", "DESCRIPTION"]);
    for template in templates {
        table.row([
            (
                format!(
                    "{}/{}@{}",
                    template.namespace, template.name, template.version
                ),
                Paint::Bold,
            ),
            plain(template.step_count.to_string()),
            plain(moment(template.created_at)),
            plain(one_line(
                template.description.as_deref().unwrap_or_default(),
            )),
        ]);
    }
    output.text(table.lines(output.style(false)).join("\n"))
}

async fn show(name: &TemplateName, setup: &Setup) -> Result<(), Failure> {
    let output = setup.output();
    let detail = setup
        .database()
        .await?
        .call("show_template", async |connection| {
            let version = name.version.as_deref();
            show_template(connection, &name.namespace, &name.name, version).await
        })
        .await?;
    output.document(&detail)?;
    output.text(as_text(&detail.body))
}

/// The body as it could be applied again: JSON is YAML too.
fn as_text(body: &Value) -> String {
    serde_json::to_string_pretty(body).unwrap_or_else(|_| body.to_string())
}

fn full_name(template: &Template) -> String {
    format!(
        "{}/{}@{}",
        template.namespace, template.name, template.version
    )
}
