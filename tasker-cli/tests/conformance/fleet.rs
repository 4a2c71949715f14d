//! Workers of several languages side by side, whose workflows change the language at each hop.

use serde_json::{Value, json};

use crate::language::Language;
use crate::workflows::{apply, submit, task};
use crate::world::World;

const TASKS: usize = 50;

#[tokio::test]
async fn a_workflow_may_change_its_language_at_every_step() {
    let languages = Language::all();
    if languages.len() < 2 {
        return;
    }
    let world = World::start().await;
    let orchestrator = world.orchestrator(&[]).await;
    let mut steps: Vec<Value> = Vec::new();
    for hop in 0..2 * languages.len() {
        let language = languages[hop % languages.len()].name;
        let before = hop.checked_sub(1).map(|hop| format!("hop_{hop}"));
        steps.push(json!({
            "name": format!("hop_{hop}"), "handler": format!("conformance.in_{language}"),
            "depends_on": before.into_iter().collect::<Vec<_>>(),
        }));
    }
    apply(&world, "hops", &json!({ "steps": steps })).await;
    let mut fleet = vec![orchestrator];
    for language in &languages {
        fleet.push(language.worker(&world, language.name, &[]).await);
    }

    let mut tasks = Vec::new();
    for _ in 0..TASKS {
        tasks.push(submit(&world, "hops", &json!({})).await);
    }
    world.wait_for_the_end().await;

    world.assert_complete(TASKS).await;
    let ended = task(&world, tasks[0]).await;
    for hop in 0..steps.len() {
        let expected = json!(languages[hop % languages.len()].name);
        let step = &ended["steps"][format!("hop_{hop}")];
        assert_eq!((&step["result"], &step["worker"]), (&expected, &expected));
    }
    world.end(fleet).await;
}
