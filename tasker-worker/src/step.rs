//! What a handler gets: the task's context, the step's input, what came before, and who asks.

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tasker_shared::database::Database;
use tasker_shared::ids::{StepId, TaskUuid};
use tasker_shared::steps::ReceivedStep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::dependencies::Dependencies;
use crate::outcome::{HandlerError, INVALID_INPUT};
use crate::place::{KeptPlace, Place};

/// One attempt of one step, in the hands of its handler.
///
/// `C` is the type that the task's context is read into, `I` the one of the step's own input. Where
/// they do not fit, the step fails permanently with the path of what is wrong.
#[derive(Debug, Clone)]
pub struct Step<C = Value, I = Value> {
    /// What the task was submitted with.
    pub context: C,
    /// What the template says as `input` of this step; an empty object where it says nothing.
    pub input: I,
    facts: Facts,
}

/// What is known of an attempt whatever its types are.
#[derive(Debug, Clone)]
struct Facts {
    id: StepId,
    name: String,
    handler: String,
    namespace: String,
    template: String,
    attempt: i32,
    max_attempts: i32,
    priority: i32,
    timeout: Duration,
    dependencies: Dependencies,
    cancellation: CancellationToken,
    place: Place,
}

impl Step {
    /// The attempt that `received` starts; results that it was not given are in `database`.
    pub(crate) fn new(
        received: ReceivedStep,
        database: &Arc<Database>,
        cancellation: CancellationToken,
        place: Place,
    ) -> Self {
        let dependencies = if received.asks_for_results {
            Dependencies::on_request(Arc::clone(database))
        } else {
            Dependencies::given(received.dependency_results)
        };
        Self {
            context: received.context,
            input: received.input,
            facts: Facts {
                id: received.id,
                name: received.step_name,
                handler: received.handler,
                namespace: received.namespace,
                template: received.template,
                attempt: received.attempt,
                max_attempts: received.max_attempts,
                priority: received.priority,
                timeout: Duration::from_millis(u64::try_from(received.timeout_ms).unwrap_or(0)),
                dependencies,
                cancellation,
                place,
            },
        }
    }

    /// The same step with its context and input read into types.
    pub(crate) fn typed<C, I>(self) -> Result<Step<C, I>, HandlerError>
    where
        C: DeserializeOwned,
        I: DeserializeOwned,
    {
        Ok(Step {
            context: decode("the task's context", self.context)?,
            input: decode("the step's input", self.input)?,
            facts: self.facts,
        })
    }
}

impl<C, I> Step<C, I> {
    /// A first and only attempt outside of any worker, for unit tests of handlers.
    pub fn detached(context: C, input: I) -> Self {
        Self {
            context,
            input,
            facts: Facts {
                id: StepId {
                    task_uuid: TaskUuid(Uuid::nil()),
                    step_no: 1,
                },
                name: "step".to_owned(),
                handler: "handler".to_owned(),
                namespace: "test".to_owned(),
                template: "test/template@1.0.0".to_owned(),
                attempt: 1,
                max_attempts: 1,
                priority: 0,
                timeout: Duration::from_secs(30),
                dependencies: Dependencies::detached(),
                cancellation: CancellationToken::new(),
                place: Place::default(),
            },
        }
    }

    /// Adds the result of a step it depends on, for unit tests of handlers.
    #[must_use]
    pub fn with_dependency(mut self, name: &str, result: impl Into<Value>) -> Self {
        let results = &mut self.facts.dependencies.given;
        results.insert(name.to_owned(), result.into());
        self
    }

    /// Sets which attempt of how many it is, for unit tests of handlers.
    #[must_use]
    pub fn with_attempt(mut self, attempt: i32, max_attempts: i32) -> Self {
        self.facts.attempt = attempt;
        self.facts.max_attempts = max_attempts;
        self
    }

    /// The result of the step named `name`, which the template lists in `depends_on`.
    ///
    /// # Errors
    /// Fails permanently, with kind `invalid_input`, where the template lists no such step or its
    /// result is not a `T`; also where the template says `dependency_results: on_request`, see
    /// [`Self::fetch_dependency`].
    pub fn dependency<T: DeserializeOwned>(&self, name: &str) -> Result<T, HandlerError> {
        let result = self.facts.dependencies.get(&self.facts.name, name)?;
        decode(&result_of(name), result)
    }

    /// The result of the step named `name`, read from the database where the template says
    /// `dependency_results: on_request` of this step.
    ///
    /// Such a step is given no results, so that together they may be larger than what a worker takes
    /// (`worker.receive_batch_bytes`); its handler reads one after the other and keeps what it needs
    /// of each. In any other step this is [`Self::dependency`].
    ///
    /// # Errors
    /// Those of [`Self::dependency`], and one that is retried where the database does not answer.
    pub fn fetch_dependency<T: DeserializeOwned>(
        &self,
        name: &str,
    ) -> impl Future<Output = Result<T, HandlerError>> + Send {
        // Of the step only what a thread may share: its context is the handler's own.
        let facts = &self.facts;
        async move {
            if let Some(result) = facts.dependencies.given.get(name) {
                return decode(&result_of(name), result);
            }
            let result = facts
                .dependencies
                .fetch(facts.id, &facts.name, name)
                .await?;
            decode(
                &result_of(name),
                &mut serde_json::Deserializer::from_str(&result),
            )
        }
    }

    /// Results of all steps it depends on, by name; none where the template says
    /// `dependency_results: on_request`.
    pub const fn dependencies(&self) -> &Map<String, Value> {
        &self.facts.dependencies.given
    }

    /// The task.
    pub const fn task_uuid(&self) -> TaskUuid {
        self.facts.id.task_uuid
    }

    /// The step, the same in every attempt: a good idempotency key.
    pub fn step_uuid(&self) -> Uuid {
        self.facts.id.step_uuid()
    }

    /// Name of the step in its template.
    pub fn name(&self) -> &str {
        &self.facts.name
    }

    /// Name of the handler.
    pub fn handler(&self) -> &str {
        &self.facts.handler
    }

    /// Namespace of the template.
    pub fn namespace(&self) -> &str {
        &self.facts.namespace
    }

    /// The template, as `namespace/name@version`.
    pub fn template(&self) -> &str {
        &self.facts.template
    }

    /// Which attempt this is, from 1.
    pub const fn attempt(&self) -> i32 {
        self.facts.attempt
    }

    /// How many attempts the step may have.
    pub const fn max_attempts(&self) -> i32 {
        self.facts.max_attempts
    }

    /// Whether a failure of this attempt is the end of the step.
    pub const fn is_last_attempt(&self) -> bool {
        self.facts.attempt >= self.facts.max_attempts
    }

    /// Priority of the task.
    pub const fn priority(&self) -> i32 {
        self.facts.priority
    }

    /// How long this attempt may take; the runtime ends it then.
    pub const fn timeout(&self) -> Duration {
        self.facts.timeout
    }

    /// Keeps the place of this attempt taken until what it returns is dropped, even where the attempt
    /// has ended before.
    ///
    /// For handlers that wait for work which cannot be ended from outside, such as that of a thread:
    /// the worker receives no more steps than such work leaves room for.
    pub fn keep_place(&self) -> KeptPlace {
        self.facts.place.keep()
    }

    /// Cancelled when the outcome is not wanted any more, because the task was cancelled.
    ///
    /// A handler that goes on regardless is ended a few seconds later, at its next `await`.
    pub const fn cancellation(&self) -> &CancellationToken {
        &self.facts.cancellation
    }
}

fn result_of(name: &str) -> String {
    format!("the result of step {name:?}")
}

/// Reads `value` into a `T`, or says what does not fit and where.
fn decode<'de, T, D>(what: &str, value: D) -> Result<T, HandlerError>
where
    T: DeserializeOwned,
    D: serde::Deserializer<'de>,
{
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let place = if path == "." {
            String::new()
        } else {
            format!(" at {path}")
        };
        let problem = error.into_inner();
        HandlerError::fail(format_args!(
            "{what} is not what the handler takes{place}: {problem}"
        ))
        .kind(INVALID_INPUT)
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Order {
        lines: Vec<Line>,
    }

    #[derive(Debug, Deserialize)]
    struct Line {
        quantity: u32,
    }

    #[test]
    fn a_context_of_another_shape_fails_for_good_and_names_the_path() {
        let context = json!({ "lines": [{ "quantity": 1 }, { "quantity": "two" }] });

        let error = Step::detached(context, json!({}))
            .typed::<Order, Value>()
            .unwrap_err();

        assert!(!error.is_retryable());
        let text = error.to_string();
        assert!(
            text.starts_with(
                "the task's context is not what the handler takes at lines[1].quantity:"
            ),
            "{text}"
        );
    }

    #[test]
    fn an_input_of_another_type_altogether_is_named_without_a_path() {
        let error = Step::detached(json!({}), json!({}))
            .typed::<Value, u32>()
            .unwrap_err();

        let text = error.to_string();
        assert!(
            text.starts_with("the step's input is not what the handler takes: invalid type: map"),
            "{text}"
        );
    }

    #[test]
    fn a_dependency_is_read_by_name_and_a_missing_one_is_named() {
        let step = Step::detached((), ()).with_dependency("reserve", json!({ "quantity": 3 }));

        assert_eq!(step.dependency::<Line>("reserve").unwrap().quantity, 3);
        for (name, part) in [("reserve", "\"reserve\""), ("charge", "depends_on")] {
            let error = step.dependency::<Order>(name).unwrap_err();
            assert!(!error.is_retryable());
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[tokio::test]
    async fn a_detached_step_fetches_what_a_test_gave_it_and_says_so_of_the_rest() {
        let step = Step::detached((), ()).with_dependency("reserve", json!({ "quantity": 3 }));

        let line: Line = step.fetch_dependency("reserve").await.unwrap();
        assert_eq!(line.quantity, 3);
        let error = step.fetch_dependency::<Line>("charge").await.unwrap_err();

        assert!(!error.is_retryable());
        let text = error.to_string();
        assert!(text.contains("result of step \"charge\""), "{text}");
        assert!(text.ends_with("Step::with_dependency"), "{text}");
    }

    #[test]
    fn a_typed_step_keeps_what_is_known_of_it() {
        let step = Step::detached(json!({ "lines": [] }), json!({})).with_attempt(3, 3);

        let step = step.typed::<Order, Value>().unwrap();

        assert!(step.context.lines.is_empty());
        assert!(step.is_last_attempt());
        assert_eq!(step.step_uuid().as_u128(), 1);
    }
}
