//! The role `orchestrator`: the engine, and the API beside it.

use std::sync::{Arc, Weak};

use tasker_orchestration::{Orchestrator, RunningOrchestrator};
use tasker_shared::config::TaskerConfig;
use tasker_shared::database::Database;
use tasker_web::{ComponentHealth, ComponentsCheck, OrchestratorBeside, WebState};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

/// Runs engine and API until `stop`; the API ends first, so that it reports no engine that
/// is gone.
pub(crate) async fn run(
    database: Database,
    config: &TaskerConfig,
    listener: TcpListener,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let stop_engine = CancellationToken::new();
    let orchestrator = Arc::new(Orchestrator::start(&database, config, stop_engine.clone()));
    let components = components(Arc::downgrade(&orchestrator));
    let beside = orchestrator_beside(&orchestrator);
    let state = WebState::start(database, config, components, beside, &stop);
    let served = tasker_web::serve(listener, state, stop).await;
    stop_engine.cancel();
    if let Some(orchestrator) = Arc::into_inner(orchestrator) {
        orchestrator.stopped().await;
    }
    served.map_err(|error| Failure::new(format!("the API could not go on listening: {error}")))
}

/// How the API enqueues for the orchestrator, if it may.
fn orchestrator_beside(orchestrator: &Arc<RunningOrchestrator>) -> Option<OrchestratorBeside> {
    let enqueuing = orchestrator.enqueuing()?;
    let orchestrator = Arc::downgrade(orchestrator);
    Some(OrchestratorBeside {
        enqueuing,
        enqueued: Box::new(move |tasks| {
            if let Some(orchestrator) = orchestrator.upgrade() {
                orchestrator.enqueued_beside(tasks);
            }
        }),
    })
}

fn detail(component: &tasker_orchestration::ComponentHealth) -> Option<String> {
    let failing = component.failing_for_ms;
    let failing = failing.map(|ms| format!("its database calls fail, since {} s", ms / 1000));
    let restarts = component.restarts;
    let restarted = (restarts > 0).then(|| format!("restarted {restarts} times"));
    let details: Vec<String> = failing.into_iter().chain(restarted).collect();
    (!details.is_empty()).then(|| details.join("; "))
}

fn components(orchestrator: Weak<RunningOrchestrator>) -> ComponentsCheck {
    Arc::new(move || {
        let Some(orchestrator) = orchestrator.upgrade() else {
            return Vec::new();
        };
        let health = orchestrator.health();
        let mut checks: Vec<ComponentHealth> = health
            .components
            .iter()
            .map(|component| ComponentHealth {
                name: component.name.to_owned(),
                healthy: component.is_healthy(),
                detail: detail(component),
            })
            .collect();
        if let Some(connected) = health.listener_connected {
            checks.push(ComponentHealth {
                name: "listener_connection".to_owned(),
                healthy: connected,
                detail: None,
            });
        }
        checks
    })
}
