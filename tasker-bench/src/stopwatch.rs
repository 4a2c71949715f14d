//! The worker that is measured: the usual one, with one more handler, which tells when it ran.
//!
//! What the database notes as the start of a step is not when its handler starts: a step that a
//! worker goes on with starts in the very transaction that ends the one before. So the handler
//! itself looks at the clock, which is the same for all processes of a machine.

use std::convert::Infallible;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use serde_json::{Value, json};
use tasker_shared::config::{self, ConfigInputs};
use tasker_shared::database::Database;
use tasker_shared::process;
use tasker_shared::tasks::StepDetail;
use tasker_shared::telemetry::end_metrics;
use tasker_worker::{Handlers, Step, Worker};

use crate::output::remark;

/// What the worker prints when it runs.
pub(crate) const STARTED: &str = "the measured worker runs";
/// Name of the handler that tells when it ran.
pub(crate) const HANDLER: &str = "bench.stopwatch";

/// Runs a worker until it is told to stop. It goes on with at most `continuation_limit` dependents
/// by itself.
pub(crate) async fn serve(continuation_limit: u32) -> Result<()> {
    let mut config = config::load(ConfigInputs::of_process()?)?.config;
    config.worker.continuation_limit = continuation_limit;
    process::set_up(&config, "worker")?;
    let stop = process::stop_on_signal(|| {})?;
    let database = Database::connect(&config.database).await?;
    let worker = Worker::start(
        &database,
        &config,
        Handlers::default().register(HANDLER, read),
    );
    remark(STARTED);
    stop.cancelled().await;
    worker.drain().await;
    database.pool().close().await;
    end_metrics();
    Ok(())
}

/// Milliseconds since 1970, to the microsecond: the clock of handlers, clients and the database.
pub(crate) fn milliseconds(at: SystemTime) -> f64 {
    let since = at.duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64() * 1e3)
}

/// Returns when it began and when it ended.
async fn read(_step: Step) -> Result<Value, Infallible> {
    let began = milliseconds(SystemTime::now());
    Ok(json!([began, milliseconds(SystemTime::now())]))
}

/// When the handler of a step began and ended; `None` where it is another one.
pub(crate) fn reading(step: &StepDetail) -> Option<[f64; 2]> {
    let result = step.result.as_ref()?;
    Some([result.get(0)?.as_f64()?, result.get(1)?.as_f64()?])
}

/// Milliseconds from the end of the handler of each step to the start of the next step's handler:
/// all that recording an outcome and handing on takes.
pub(crate) fn gaps(steps: &[StepDetail]) -> impl Iterator<Item = f64> {
    steps.windows(2).filter_map(|pair| {
        let ([_, ended], [began, _]) = (reading(&pair[0])?, reading(&pair[1])?);
        Some(began - ended)
    })
}
