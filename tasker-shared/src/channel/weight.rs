//! What messages with payloads weigh.

use std::mem::size_of;

use pgmq_notify::ListenEvent;
use serde_json::Value;

use crate::steps::{StepError, StepOutcome, StepReport};
use crate::tasks::NewTask;

/// A message whose size in memory is worth a bound of its own.
pub trait Weighed {
    /// About how many bytes the message keeps in memory. Asked once, when the message is sent.
    fn weight(&self) -> usize;
}

impl Weighed for ListenEvent {
    fn weight(&self) -> usize {
        let texts = match self {
            Self::Notification { channel, payload } => channel.len() + payload.len(),
            Self::Connected => 0,
        };
        size_of::<Self>() + texts
    }
}

impl Weighed for Value {
    fn weight(&self) -> usize {
        size_of::<Self>() + of_json(self)
    }
}

impl Weighed for StepReport {
    fn weight(&self) -> usize {
        let payload = match &self.outcome {
            StepOutcome::Complete(result) => of_json(result),
            StepOutcome::Retry { error, .. } | StepOutcome::Fail(error) => of_error(error),
        };
        size_of::<Self>() + self.namespace.len() + payload
    }
}

impl Weighed for NewTask {
    fn weight(&self) -> usize {
        let texts = [&self.version, &self.idempotency_key].into_iter().flatten();
        let texts = texts.map(String::len).sum::<usize>() + self.namespace.len() + self.name.len();
        size_of::<Self>() + texts + of_json(&self.context)
    }
}

fn of_error(error: &StepError) -> usize {
    let details = error.details.as_ref().map_or(0, of_json);
    error.kind.len() + error.message.len() + details
}

/// About what the value keeps in memory besides itself. Values of any depth are looked at without
/// recursion, since a handler may have made them.
fn of_json(value: &Value) -> usize {
    let mut bytes = 0;
    let mut unseen = vec![value];
    while let Some(value) = unseen.pop() {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
            Value::String(text) => bytes += text.len(),
            Value::Array(values) => {
                bytes += values.len() * size_of::<Value>();
                unseen.extend(values);
            }
            Value::Object(fields) => {
                bytes += fields.len() * size_of::<(String, Value)>();
                bytes += fields.keys().map(String::len).sum::<usize>();
                unseen.extend(fields.values());
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::ids::{StepId, TaskUuid};

    const MB: usize = 1024 * 1024;

    fn report(outcome: StepOutcome) -> StepReport {
        let task_uuid = TaskUuid(Uuid::nil());
        StepReport {
            id: StepId {
                task_uuid,
                step_no: 1,
            },
            receipt: 1,
            msg_id: 1,
            namespace: "shop".to_owned(),
            outcome,
        }
    }

    #[test]
    fn an_outcome_weighs_about_what_its_result_takes() {
        let empty = report(StepOutcome::Complete(Value::Null)).weight();
        assert!((50..500).contains(&empty), "{empty}");
        let text = report(StepOutcome::Complete(json!("x".repeat(MB)))).weight();
        assert!((MB..MB + 500).contains(&text), "{text}");
        let many = json!({ "rows": vec![json!({ "id": 1 }); 10_000] });
        let many = report(StepOutcome::Complete(many)).weight();
        assert!((500_000..2_000_000).contains(&many), "{many}");
        let failed = report(StepOutcome::Fail(StepError {
            kind: "handler_failed".to_owned(),
            message: "x".repeat(MB),
            details: Some(json!(["x".repeat(MB)])),
        }));
        assert!((2 * MB..2 * MB + 500).contains(&failed.weight()));
    }

    #[test]
    fn a_deep_result_is_weighed_without_recursion() {
        let mut deep = Value::Null;
        for _ in 0..100_000 {
            deep = Value::Array(vec![deep]);
        }
        assert!(of_json(&deep) >= 100_000 * size_of::<Value>());
        // Dropping such a value recurses.
        std::mem::forget(deep);
    }

    #[test]
    fn a_task_to_be_submitted_weighs_its_texts_and_its_context() {
        let task = NewTask {
            namespace: "n".repeat(10),
            name: "n".repeat(10),
            version: None,
            context: json!("x".repeat(MB)),
            priority: 0,
            idempotency_key: Some("k".repeat(MB)),
            on_conflict: crate::tasks::OnConflict::Existing,
        };
        assert!((2 * MB + 20..2 * MB + 500).contains(&task.weight()));
    }

    #[test]
    fn a_notification_weighs_its_texts() {
        let notification = ListenEvent::Notification {
            channel: "c".repeat(100),
            payload: "p".repeat(7900),
        };
        let empty = ListenEvent::Connected.weight();
        assert_eq!(notification.weight(), empty + 8000);
    }
}
