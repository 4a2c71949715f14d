//! The schemas of what the engine's own types are sent as.
//!
//! `tasker_shared` serialises them and knows nothing of OpenAPI, so their shapes are declared here
//! once more, with the texts and examples that clients see. Tests hold real answers against these
//! schemas, with no member left over on either side.

#![expect(dead_code, reason = "these types are declared for their schemas only")]
#![expect(
    clippy::struct_field_names,
    reason = "the fields are those of the answers"
)]

mod events;
mod processes;
mod queues;
mod states;
mod steps;
mod submissions;
mod tasks;
mod templates;

pub(crate) use events::{LifecycleEvent, Transition};
pub(crate) use processes::{Channel, Process};
pub(crate) use queues::Queue;
pub(crate) use states::TaskState;
pub(crate) use steps::Step;
pub(crate) use submissions::{OnConflict, Submitted};
pub(crate) use tasks::{ListedTask, Task};
pub(crate) use templates::{Template, TemplateSummary};
