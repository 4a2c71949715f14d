//! The workflows of `workers/conformance/workflows`, on a worker of one language.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tasker_shared::ids::TaskUuid;

use crate::expected::difference;
use crate::language::Language;
use crate::world::World;

const FOLDER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../workers/conformance/workflows"
);

/// A workflow, and the task that runs it.
struct Workflow {
    name: String,
    body: Value,
    task: TaskUuid,
}

pub(crate) async fn end_as_they_should(language: Language) {
    let world = World::start().await;
    let orchestrator = world.orchestrator(&[]).await;
    let mut workflows = Vec::new();
    for (name, body) in read() {
        apply(&world, &name, &body).await;
        let context = body.get("context").cloned().unwrap_or(json!({}));
        let task = submit(&world, &name, &context).await;
        workflows.push(Workflow { name, body, task });
    }
    assert!(workflows.len() >= 9, "workflows are missing in {FOLDER}");
    let worker = language.worker(&world, language.name, &[]).await;

    for workflow in &workflows {
        if let Some(step) = workflow.body["cancelled_while_running"].as_str() {
            cancel_while_running(&world, workflow.task, step).await;
        }
    }
    world.wait_for_the_end().await;
    let steps = "select not exists(select from tasker.steps where state = 'in_progress')";
    world
        .wait_for("what ran in cancelled tasks has ended", steps)
        .await;

    let mut wrong = Vec::new();
    for workflow in &workflows {
        let ended = task(&world, workflow.task).await;
        if let Some(difference) = difference(&workflow.body["ends"], &ended, &workflow.name) {
            wrong.push(format!("{}: {difference}", workflow.body["claim"]));
        }
    }
    assert!(wrong.is_empty(), "{}: {wrong:#?}", language.name);
    world.assert_order().await;
    world.end([orchestrator, worker]).await;
}

/// All workflows, by the names of their files.
fn read() -> Vec<(String, Value)> {
    let files = fs::read_dir(FOLDER)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut workflows = files
        .map(|file: std::path::PathBuf| {
            let name = Path::file_stem(&file).unwrap().to_str().unwrap().to_owned();
            let body = serde_json::from_str(&fs::read_to_string(&file).unwrap());
            let body = body.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            (name, body)
        })
        .collect::<Vec<(String, Value)>>();
    workflows.sort_by(|a, b| a.0.cmp(&b.0));
    workflows
}

/// Stores a template of these steps, in the namespace of the suite.
pub(crate) async fn apply(world: &World, name: &str, workflow: &Value) {
    let defaults = workflow.get("defaults").cloned().unwrap_or(json!({}));
    let template = json!({
        "namespace": "conformance", "name": name, "version": "1.0.0",
        "defaults": defaults, "steps": workflow["steps"],
    });
    world.apply(&template.to_string()).await;
}

/// Submits a task of a template of the suite.
pub(crate) async fn submit(world: &World, name: &str, context: &Value) -> TaskUuid {
    let text = context.to_string().replace('\'', "''");
    let submit = format!("select tasker.submit_task('conformance', '{name}', '{text}')");
    TaskUuid(world.value(&submit).await)
}

/// What a task has come to: its state, and its steps by name.
pub(crate) async fn task(world: &World, task: TaskUuid) -> Value {
    let task: Value = world
        .value(&format!("select tasker.get_task('{task}')"))
        .await;
    let steps = task["steps"].as_array().unwrap().iter();
    let steps = steps.map(|step| (step["name"].as_str().unwrap().to_owned(), step.clone()));
    json!({ "state": task["state"], "steps": steps.collect::<serde_json::Map<_, _>>() })
}

async fn cancel_while_running(world: &World, task: TaskUuid, step: &str) {
    let running = format!(
        "select exists(
           select from tasker.steps s
           join tasker.template_steps ts using (template_id, step_no)
           where s.task_uuid = '{task}' and ts.name = '{step}' and s.state = 'in_progress'
         )"
    );
    world.wait_for(&format!("{step} runs"), &running).await;
    let cancel = format!("select tasker.cancel_task('{task}', 'conformance')");
    world.run(&cancel).await;
}
