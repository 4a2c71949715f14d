//! What the orchestrator can be told to do.
//!
//! Events become commands and commands act. Everything a command says about tasks is a hint: the
//! claim that follows takes whatever is ready, the most urgent first. So commands that say the same
//! are merged, and one that is lost is made good by the next look.

use serde::{Deserialize, Serialize};
use tasker_shared::ids::TaskUuid;
use tasker_shared::readiness::ReadyTask;
use tasker_shared::state::{StepState, TaskState};
use uuid::Uuid;

/// What made a task ready to be processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggeredBy {
    /// A step moved, and others may run now.
    StepTransition,
    /// The task was submitted.
    TaskStart,
    /// No notification was seen; a polling look found it.
    FallbackPolling,
}

impl TriggeredBy {
    /// The word in payloads, metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StepTransition => "step_transition",
            Self::TaskStart => "task_start",
            Self::FallbackPolling => "fallback_polling",
        }
    }
}

/// Why to look for ready tasks where no task in particular was announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LookReason {
    /// The listener got a connection: whatever was announced before may have been missed.
    ListenerConnected,
    /// Retries that were due became ready.
    RetriesFired,
    /// Nothing polls in this deployment mode, and something has been ready for long.
    Overlooked,
}

impl LookReason {
    /// The word in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ListenerConnected => "listener_connected",
            Self::RetriesFired => "retries_fired",
            Self::Overlooked => "overlooked",
        }
    }
}

/// An order to the command processor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrchestrationCommand {
    /// Claim what is ready and put it in the queues, because tasks are known to be ready.
    ///
    /// Fields are absent where the announcement did not say them, as when it stands for many tasks.
    ProcessTaskReadiness {
        /// The task, unless several were announced together.
        task_uuid: Option<TaskUuid>,
        /// Namespace of the task.
        namespace: Option<String>,
        /// Its priority.
        priority: Option<i32>,
        /// How many of its steps are ready.
        ready_steps: Option<i32>,
        /// What made it ready.
        triggered_by: TriggeredBy,
        /// The step whose move made it ready.
        step_uuid: Option<Uuid>,
        /// The state that step entered.
        step_state: Option<StepState>,
        /// The state the task entered.
        task_state: Option<TaskState>,
    },
    /// Claim whatever is ready, because something may have become so unnoticed.
    LookForReadyTasks {
        /// Why.
        reason: LookReason,
    },
    /// Look at the timers again, because one was set that may be due before the others.
    FireTimers,
}

impl OrchestrationCommand {
    /// The command for a task that a polling look found.
    pub fn for_polled(task: ReadyTask) -> Self {
        Self::ProcessTaskReadiness {
            task_uuid: Some(task.task_uuid),
            namespace: Some(task.namespace),
            priority: Some(task.priority),
            ready_steps: Some(task.ready_steps),
            triggered_by: TriggeredBy::FallbackPolling,
            step_uuid: None,
            step_state: None,
            task_state: None,
        }
    }

    /// Whether it asks for a claim because of anything but what polling discovered.
    pub(crate) fn is_announced(&self) -> bool {
        match self {
            Self::ProcessTaskReadiness { triggered_by, .. } => {
                *triggered_by != TriggeredBy::FallbackPolling
            }
            Self::LookForReadyTasks { reason } => *reason != LookReason::Overlooked,
            Self::FireTimers => false,
        }
    }

    /// The word for what the command was caused by, in metrics.
    pub const fn cause(&self) -> &'static str {
        match self {
            Self::ProcessTaskReadiness { triggered_by, .. } => triggered_by.as_str(),
            Self::LookForReadyTasks { reason } => reason.as_str(),
            Self::FireTimers => "timer_set",
        }
    }
}
