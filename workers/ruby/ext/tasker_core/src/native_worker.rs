//! The worker of the process, as Ruby holds it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use magnus::{Error, RArray, RHash, Ruby, TryConvert, Value};
use tasker_shared::config::{ConfigInputs, Source, TaskerConfig, load};
use tasker_worker::{RunError, Worker};
use tokio_util::sync::CancellationToken;
use tracing::Level;

use crate::attempt::Attempt;
use crate::handler::handlers;
use crate::logs::{Lines, forward};
use crate::of_process::OfProcess;
use crate::refusals::{configuration_error, error, forked, guarded};
use crate::ruby_events::{RubyEvents, Taken};
use crate::runtime::runtime;
use crate::without_gvl::{check_interrupts, without_gvl};

/// Handlers that run at the same time where nothing is configured: a Ruby thread each, which take
/// turns on one processor.
const CONCURRENCY: usize = 20;

/// A process has metrics and logs once.
static STARTED: AtomicBool = AtomicBool::new(false);

#[magnus::wrap(class = "TaskerCore::Native::Worker", free_immediately, size)]
pub(crate) struct NativeWorker(OfProcess<Running>);

struct Running {
    events: Arc<RubyEvents>,
    stop: CancellationToken,
    ending: Arc<Ending>,
    lines: Arc<Lines>,
    concurrency: usize,
    name: String,
}

/// How the worker ended, for those who wait for it.
#[derive(Default)]
struct Ending {
    state: Mutex<Waited>,
    changed: Condvar,
}

#[derive(Default)]
struct Waited {
    ended: Option<End>,
    /// The waiting thread has something else to look at.
    woken: bool,
}

#[derive(Clone)]
enum End {
    Complete,
    Unrecorded,
    Failed(String),
}

impl NativeWorker {
    /// Starts the worker, with a handler in Ruby for each of the names. It reaches for the database
    /// in the background.
    pub(crate) fn start(ruby: &Ruby, names: Vec<String>, given: RHash) -> Result<Self, Error> {
        guarded(ruby, || {
            let runtime = runtime(ruby)?;
            let config = configuration(ruby, given)?;
            if STARTED.swap(true, Ordering::AcqRel) {
                let message = "a process runs one worker, once: there was one already";
                return Err(error(ruby, message));
            }
            let lines = Arc::new(Lines::default());
            if option::<bool>(given, "forward_logs")? == Some(true) {
                let forwarded = forward(&config.telemetry, &lines);
                forwarded.map_err(|problem| configuration_error(ruby, problem))?;
            }
            let worker = Running {
                events: Arc::new(RubyEvents::new(&config.mpsc_channels.shared.ffi)),
                stop: CancellationToken::new(),
                ending: Arc::default(),
                lines,
                concurrency: config.worker.concurrency,
                name: config.worker.instance_name().to_owned(),
            };
            let handlers = handlers(names, &worker.events);
            let (stop, ending) = (worker.stop.clone(), Arc::clone(&worker.ending));
            runtime.spawn(async move {
                let run = async move { Worker::run_until(&config, handlers, stop).await };
                // In a task of its own, so that a panic is an end as well.
                ending.set(match tokio::spawn(run).await {
                    Ok(Ok(())) => End::Complete,
                    Ok(Err(RunError::Unrecorded)) => End::Unrecorded,
                    Ok(Err(error)) => End::Failed(format!("{error:?}")),
                    Err(panic) => End::Failed(format!("a bug in tasker_core: {panic}")),
                });
            });
            Ok(Self(OfProcess::new(worker)))
        })
    }

    fn running(&self, ruby: &Ruby) -> Result<&Running, Error> {
        self.0.get().map_err(|it| forked(ruby, it))
    }

    pub(crate) fn concurrency(ruby: &Ruby, this: &Self) -> Result<usize, Error> {
        guarded(ruby, || Ok(this.running(ruby)?.concurrency))
    }

    pub(crate) fn name(ruby: &Ruby, this: &Self) -> Result<String, Error> {
        guarded(ruby, || Ok(this.running(ruby)?.name.clone()))
    }

    /// Fills `attempt` with the next one that is for Ruby, and waits for it; false at the end.
    pub(crate) fn take(ruby: &Ruby, this: &Self, attempt: &Attempt) -> Result<bool, Error> {
        guarded(ruby, || take(ruby, &this.running(ruby)?.events, attempt))
    }

    /// Waits for the end of the worker, at most so many seconds: nil while it runs, then whether
    /// every outcome was recorded.
    pub(crate) fn wait(ruby: &Ruby, this: &Self, seconds: f64) -> Result<Option<bool>, Error> {
        guarded(ruby, || {
            let ending = &this.running(ruby)?.ending;
            let longest = Duration::try_from_secs_f64(seconds).unwrap_or_default();
            let end = without_gvl(ruby, &|| ending.wake(), || ending.wait(longest)).flatten();
            check_interrupts(ruby)?;
            match end {
                None => Ok(None),
                Some(End::Complete) => Ok(Some(true)),
                Some(End::Unrecorded) => Ok(Some(false)),
                Some(End::Failed(message)) => Err(error(ruby, message)),
            }
        })
    }

    /// Has `wait` return soon.
    pub(crate) fn wake(ruby: &Ruby, this: &Self) -> Result<(), Error> {
        guarded(ruby, || {
            this.running(ruby)?.ending.wake();
            Ok(())
        })
    }

    /// Begins to drain. It takes no lock of Ruby's, so that signal handlers may call it.
    pub(crate) fn stop(ruby: &Ruby, this: &Self) -> Result<(), Error> {
        guarded(ruby, || {
            this.running(ruby)?.stop.cancel();
            Ok(())
        })
    }

    /// Ends `take` and `next_line`.
    pub(crate) fn close(ruby: &Ruby, this: &Self) -> Result<(), Error> {
        guarded(ruby, || {
            let running = this.running(ruby)?;
            running.events.close();
            running.lines.close();
            Ok(())
        })
    }

    /// The next line of the log as `[severity, text]`, waiting for it; nil at the end.
    pub(crate) fn next_line(ruby: &Ruby, this: &Self) -> Result<Option<RArray>, Error> {
        guarded(ruby, || {
            let lines = &this.running(ruby)?.lines;
            loop {
                let interrupted = AtomicBool::new(false);
                let unblock = || lines.interrupt(&interrupted);
                let line = without_gvl(ruby, &unblock, || lines.next(&interrupted)).flatten();
                if let Some(line) = line {
                    let pair = ruby.ary_new();
                    pair.push(severity(line.level))?;
                    pair.push(line.text)?;
                    return Ok(Some(pair));
                }
                check_interrupts(ruby)?;
                if lines.is_closed() {
                    return Ok(None);
                }
            }
        })
    }
}

/// Fills `attempt` with the next event; false when there will be none.
pub(crate) fn take(ruby: &Ruby, events: &RubyEvents, attempt: &Attempt) -> Result<bool, Error> {
    // With the lock in hand, where nothing has to be waited for.
    if let Some(event) = events.try_take() {
        attempt.fill(*event);
        return Ok(true);
    }
    loop {
        let interrupted = AtomicBool::new(false);
        let unblock = || events.interrupt(&interrupted);
        match without_gvl(ruby, &unblock, || events.take(&interrupted)) {
            // The thread has it now, whatever else there is for it to do.
            Some(Taken::Event(event)) => {
                attempt.fill(*event);
                return Ok(true);
            }
            Some(Taken::Closed) => return Ok(false),
            Some(Taken::Interrupted) | None => check_interrupts(ruby)?,
        }
    }
}

impl Ending {
    fn set(&self, end: End) {
        self.lock().ended = Some(end);
        self.changed.notify_all();
    }

    fn wake(&self) {
        self.lock().woken = true;
        self.changed.notify_all();
    }

    fn wait(&self, longest: Duration) -> Option<End> {
        let until = Instant::now() + longest;
        let mut state = self.lock();
        while state.ended.is_none() && !state.woken {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.woken = false;
        state.ended.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Waited> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The configuration of the process, under what Ruby gives.
fn configuration(ruby: &Ruby, given: RHash) -> Result<TaskerConfig, Error> {
    let unusable = |problem| configuration_error(ruby, format_args!("{problem}"));
    let mut inputs = ConfigInputs::of_process().map_err(unusable)?;
    let mut set = |variable: &str, value: Option<String>| {
        if let Some(value) = value {
            inputs.variables.insert(variable.to_owned(), value);
        }
    };
    let namespaces: Option<Vec<String>> = option(given, "namespaces")?;
    set("NAMESPACE", namespaces.map(|names| names.join(",")));
    set("INSTANCE_ID", option(given, "name")?);
    let number = |name| Ok::<_, Error>(option::<f64>(given, name)?.map(|it| it.to_string()));
    set("TASKER__WORKER__CONCURRENCY", number("concurrency")?);
    set(
        "TASKER__WORKER__DRAIN_TIMEOUT_SECONDS",
        number("drain_timeout_seconds")?,
    );
    let mut loaded = load(inputs).map_err(unusable)?;
    if let Some(Source::BuiltIn { .. }) = loaded.sources.get("worker.concurrency") {
        loaded.config.worker.concurrency = CONCURRENCY;
    }
    Ok(loaded.config)
}

/// What Ruby gives under this name, where that is not nil.
fn option<T: TryConvert>(given: RHash, name: &str) -> Result<Option<T>, Error> {
    let value: Option<Value> = given.lookup(Ruby::get_with(given).to_symbol(name))?;
    value.map(T::try_convert).transpose()
}

/// As Ruby's `Logger` counts.
fn severity(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 2,
        Level::INFO => 1,
        Level::DEBUG | Level::TRACE => 0,
    }
}
