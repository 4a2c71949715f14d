//! Identities of tasks and steps.
//!
//! A task is named by a UUID of version 7 whose low 16 bits are zero; its steps are numbered from 1 and a
//! step's own UUID carries that number in those 16 bits. So a step needs no stored identity of its
//! own, and either form is computed from the other.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Identity of a task.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type,
)]
#[serde(transparent)]
#[sqlx(transparent)]
pub struct TaskUuid(pub Uuid);

impl TaskUuid {
    /// Eight digits that tell this task from others where people look at a few.
    ///
    /// They are the random ones at the end, before the zeros of the step number: UUIDs of version 7
    /// begin with the time, so those of one minute begin alike.
    pub fn short(self) -> String {
        let digits = self.0.simple().to_string();
        digits[SHORT].to_owned()
    }
}

impl fmt::Display for TaskUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for TaskUuid {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// Where the digits of a short form stand among the 32.
const SHORT: std::ops::Range<usize> = 20..28;

/// Identity of a step: its task, and its number in the template, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StepId {
    /// The task the step belongs to.
    pub task_uuid: TaskUuid,
    /// Position of the step in its template, from 1 to 65,535.
    pub step_no: i32,
}

/// The bits of a step's UUID that hold its number.
const STEP_NO_BITS: u128 = 0xffff;

impl StepId {
    /// The one UUID that names this step to users; SQL has the same as `tasker.step_uuid`.
    pub fn step_uuid(self) -> Uuid {
        let number = u128::from(self.step_no.unsigned_abs()) & STEP_NO_BITS;
        Uuid::from_u128(self.task_uuid.0.as_u128() | number)
    }

    /// The step that [`StepId::step_uuid`] names.
    pub fn from_step_uuid(step_uuid: Uuid) -> Self {
        let bits = step_uuid.as_u128();
        let number = i32::try_from(bits & STEP_NO_BITS).expect("16 bits fit in an i32");
        Self {
            task_uuid: TaskUuid(Uuid::from_u128(bits & !STEP_NO_BITS)),
            step_no: number,
        }
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.step_uuid().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_form_of_a_task_is_the_random_end_of_its_uuid() {
        let task_uuid = TaskUuid("01890a5d-ac96-774b-bcce-b302099a0000".parse().unwrap());
        assert_eq!(task_uuid.short(), "b302099a");
    }

    #[test]
    fn a_step_uuid_names_its_task_and_number() {
        let task_uuid = TaskUuid("01890a5d-ac96-774b-bcce-b302099a0000".parse().unwrap());
        let step = StepId {
            task_uuid,
            step_no: 65_535,
        };

        assert_eq!(
            step.step_uuid().to_string(),
            "01890a5d-ac96-774b-bcce-b302099affff"
        );
        assert_eq!(StepId::from_step_uuid(step.step_uuid()), step);
    }
}
