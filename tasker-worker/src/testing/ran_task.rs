//! A task after a run, to be asserted on.

use std::fmt::{self, Write};

use serde::de::DeserializeOwned;
use tasker_shared::state::TaskState;
use tasker_shared::tasks::{StepDetail, TaskDetail};

/// A task as it stood when its run ended, or when it began to wait.
#[derive(Debug, Clone)]
pub struct RanTask {
    /// All that is known of it.
    pub detail: TaskDetail,
}

impl RanTask {
    /// Where the task stands.
    pub fn state(&self) -> TaskState {
        self.detail.summary.state
    }

    /// The step of that name: its state, attempts, result, error.
    ///
    /// # Panics
    /// When the template has no such step.
    #[track_caller]
    pub fn step(&self, name: &str) -> &StepDetail {
        let mut steps = self.detail.steps.iter();
        match steps.find(|step| step.name == name) {
            Some(step) => step,
            None => panic!("there is no step {name:?} in\n{self}"),
        }
    }

    /// What the handler of the step returned.
    ///
    /// # Panics
    /// When the step has no result, or another than a `T`.
    #[track_caller]
    pub fn result<T: DeserializeOwned>(&self, step: &str) -> T {
        let Some(result) = &self.step(step).result else {
            panic!("step {step:?} has no result in\n{self}");
        };
        match T::deserialize(result) {
            Ok(result) => result,
            Err(error) => panic!("the result of step {step:?} is another: {error}: {result}"),
        }
    }

    /// The message of the error that the latest failed attempt of the step ended with.
    ///
    /// # Panics
    /// When no attempt of the step has failed.
    #[track_caller]
    pub fn error(&self, step: &str) -> &str {
        match &self.step(step).error {
            Some(error) => error["message"].as_str().unwrap_or_default(),
            None => panic!("step {step:?} has no error in\n{self}"),
        }
    }

    /// Says that the task is complete.
    ///
    /// # Panics
    /// When it is not, with where each step stands.
    #[track_caller]
    pub fn assert_complete(&self) {
        assert!(
            self.state() == TaskState::Complete,
            "the task is not complete:\n{self}"
        );
    }
}

/// A line for the task and one for each step, for the reader of a failed test.
impl fmt::Display for RanTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let task = &self.detail.summary;
        write!(f, "{}/{}: {}", task.namespace, task.name, task.state)?;
        for step in &self.detail.steps {
            let mut line = format!(
                "\n  {} ({}): {}, {} of {} attempts",
                step.name, step.handler, step.state, step.attempts, step.max_attempts
            );
            if let Some(error) = &step.error {
                let text = |key: &str| error[key].as_str().unwrap_or_default();
                write!(line, ", {}: {}", text("kind"), text("message"))?;
            }
            f.write_str(&line)?;
        }
        Ok(())
    }
}
