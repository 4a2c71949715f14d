//! The options that say which tasks are meant.

use chrono::{DateTime, Utc};
use tasker_shared::moment;
use tasker_shared::state::TaskState;
use tasker_shared::tasks::Condition;

/// Names the states, as the rest of the text of the arguments cannot.
const STATE: &str = "Only tasks in this state: pending, in_progress, complete, error, cancelled, \
     resolved_manually";

/// Shows conditions as they are typed.
const CONDITIONS: &str = "Only tasks with a search value as here: order_id=42, \
     customer.email^=bob@ (begins with), amount>=100, and so with <, <= and >; all of several";

/// Which tasks are meant; what is not given does not restrict.
#[derive(Debug, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct FilterArgs {
    /// Only tasks of this namespace
    #[arg(long, value_name = "NS")]
    pub(crate) namespace: Option<String>,

    /// Only tasks of templates of this name
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// Only tasks of this version of their template
    #[arg(long, value_name = "VERSION")]
    pub(crate) template_version: Option<String>,

    #[arg(long, value_name = "STATE", help = STATE)]
    pub(crate) state: Option<TaskState>,

    /// Only tasks submitted since: 30m, 2h, 3d (ago), 2030-05-01 or 2030-05-01T12:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = when)]
    pub(crate) since: Option<DateTime<Utc>>,

    /// Only tasks submitted before, written as --since is
    #[arg(long, value_name = "WHEN", value_parser = when)]
    pub(crate) until: Option<DateTime<Utc>>,

    /// Only tasks submitted with this idempotency key
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,

    /// Only tasks of which this step failed; those in error where no --state is given
    #[arg(long, visible_alias = "failed-step", value_name = "STEP")]
    pub(crate) step: Option<String>,

    /// Only tasks of which a step's error says this; those in error where no --state is given
    #[arg(long, value_name = "TEXT")]
    pub(crate) error: Option<String>,

    #[arg(long = "where", value_name = "CONDITION", help = CONDITIONS)]
    pub(crate) conditions: Vec<Condition>,
}

fn when(text: &str) -> Result<DateTime<Utc>, &'static str> {
    moment::parse(text, Utc::now())
}
