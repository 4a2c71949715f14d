//! Why a command did not do what it was asked, in words for the person who asked.
//!
//! A failure says what went wrong and where, and how to mend it. It never holds a backtrace, and
//! what it quotes of a database address has no password.

use std::io;
use std::process::ExitCode;

use tasker_shared::error::{Error, RefusalKind, advice};
use tasker_shared::process::StartError;
use tasker_worker::RunError;

/// Exit status of a command that failed.
const FAILED: u8 = 1;
/// Exit status of a command that was used wrongly.
pub(crate) const USAGE: u8 = 2;

/// How a database is found; the hint of every failure to reach one.
const HOW_TO_REACH: &str = "the address comes from --database-url, DATABASE_URL or database.url in \
     the configuration; `tasker dev` starts a database of its own and prints its address";

/// Why a command ends without having done its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something failed.
    Failed {
        /// What went wrong, and where.
        what: String,
        /// How to mend it.
        hint: Option<String>,
    },
    /// The arguments make no sense.
    Usage(String),
    /// The command said all there is to say on standard output.
    Reported,
    /// The user stopped the command before it had done its work.
    Interrupted,
    /// The reader of standard output went away, as `head` does when it has enough.
    ReaderGone,
}

impl Failure {
    /// A failure without a hint.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self::Failed {
            what: what.into(),
            hint: None,
        }
    }

    /// The same failure with a hint how to mend it.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        match self {
            Self::Failed { what, hint: None } => Self::Failed {
                what,
                hint: Some(hint.into()),
            },
            other => other,
        }
    }

    /// The same failure with another hint.
    pub(crate) fn instead_hint(self, hint: impl Into<String>) -> Self {
        match self {
            Self::Failed { what, .. } => Self::Failed {
                what,
                hint: Some(hint.into()),
            },
            other => other,
        }
    }

    /// The same failure with what was being done in front.
    pub(crate) fn while_doing(self, what_was_done: &str) -> Self {
        match self {
            Self::Failed { what, hint } => Self::Failed {
                what: format!("{what_was_done}: {what}"),
                hint,
            },
            other => other,
        }
    }

    /// Prints the failure to standard error and gives the exit status.
    pub(crate) fn report(&self) -> ExitCode {
        match self {
            Self::Failed { what, hint } => {
                complain(what, hint.as_deref());
                ExitCode::from(FAILED)
            }
            Self::Usage(what) => {
                complain(what, Some("see --help"));
                ExitCode::from(USAGE)
            }
            Self::Interrupted => {
                complain("stopped before the end", None);
                ExitCode::from(FAILED)
            }
            Self::Reported => ExitCode::from(FAILED),
            Self::ReaderGone => ExitCode::SUCCESS,
        }
    }
}

fn complain(what: &str, hint: Option<&str>) {
    use std::io::Write;
    let hint = hint.map(|hint| format!("\n hint: {hint}"));
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(io::stderr(), "error: {what}{}", hint.unwrap_or_default());
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(refusal) => Self::Failed {
                hint: refusal.hint.or_else(|| match refusal.kind {
                    RefusalKind::NotFound => Some(
                        "`tasker task list` and `tasker template list` show what there is".into(),
                    ),
                    RefusalKind::InvalidInput | RefusalKind::Conflict => None,
                }),
                what: refusal.message,
            },
            Error::Unavailable { .. } => told(&error).hint(HOW_TO_REACH),
            Error::TimedOut { .. } | Error::Locked { .. } => Self::new(error.to_string())
                .hint("look at the load and the locks of the database, then try again"),
            Error::Schema(_) | Error::Archive(_) => told(&error),
            Error::Database(error) if is_about_nul(&error) => {
                Self::new("a string holds the character \\u0000, which PostgreSQL cannot store")
                    .hint("leave the character out, or encode the string, in base64 for example")
            }
            Error::Database(_) | Error::Corrupt(_) => told(&error)
                .hint("`tasker doctor` examines the database; this may be a bug worth reporting"),
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Database(error) => error.into(),
            StartError::GaveUp { waited, error } => {
                Self::from(error).while_doing(&format!("gave up after {waited:?}"))
            }
            error => {
                let failure = Self::new(error.to_string());
                match error.hint() {
                    Some(hint) => failure.hint(hint),
                    None => failure,
                }
            }
        }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Start(error) => error.into(),
            RunError::Config(_) | RunError::Unrecorded => Self::new(error.to_string()),
        }
    }
}

/// A failure in the words of the error, with the hint that is in them.
fn told(error: &Error) -> Failure {
    let text = error.to_string();
    let (what, hint) = advice::split(&text);
    Failure::Failed {
        what: what.to_owned(),
        hint: hint.map(str::to_owned),
    }
}

/// Whether the database could not turn an escape in JSON into a character.
fn is_about_nul(error: &sqlx::Error) -> bool {
    let database = error.as_database_error();
    database.is_some_and(|error| error.code().as_deref() == Some("22P05"))
}

/// What writing to standard output can come to.
pub(crate) fn of_output(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        Failure::ReaderGone
    } else {
        Failure::new(format!("could not write to standard output: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use tasker_shared::error::Refusal;

    use super::*;

    fn text(failure: &Failure) -> String {
        match failure {
            Failure::Failed { what, hint } => format!("{what} ({})", hint.as_deref().unwrap_or("")),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_refusal_keeps_its_own_hint() {
        let failure = Failure::from(Error::Refused(Refusal {
            kind: RefusalKind::NotFound,
            message: "there is no template a/b".into(),
            hint: Some("apply it first".into()),
        }));
        assert_eq!(text(&failure), "there is no template a/b (apply it first)");
    }

    #[test]
    fn the_first_hint_is_the_one_that_is_kept() {
        let failure = Failure::new("what").hint("first").hint("second");
        assert_eq!(text(&failure), "what (first)");
    }
}
