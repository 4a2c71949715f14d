//! The runtime of the process, in Rust threads.

use std::sync::OnceLock;

use magnus::{Error, Ruby};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::of_process::OfProcess;
use crate::refusals::{error, forked};

/// It is never dropped: a process that ends does not wait for it.
static RUNTIME: OnceLock<OfProcess<Runtime>> = OnceLock::new();

/// The runtime, started at the first call.
pub(crate) fn runtime(ruby: &Ruby) -> Result<Handle, Error> {
    if let Some(runtime) = RUNTIME.get() {
        let runtime = runtime.get().map_err(|it| forked(ruby, it))?;
        return Ok(runtime.handle().clone());
    }
    let mut builder = Builder::new_multi_thread();
    let built = builder.enable_all().thread_name("tasker").build();
    let built = built.map_err(|it| error(ruby, format_args!("could not start threads: {it}")))?;
    let runtime = RUNTIME.get_or_init(|| OfProcess::new(built));
    let runtime = runtime.get().map_err(|it| forked(ruby, it))?;
    Ok(runtime.handle().clone())
}
