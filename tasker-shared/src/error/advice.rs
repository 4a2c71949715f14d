//! What errors of PostgreSQL mean to the person who reads them, and what to do about them.
//!
//! One place has the words for each class of SQLSTATE, so that commands and logs say the same. A
//! text is one sentence about what happened, then the hint behind "; hint: ", which commands print on
//! a line of its own.

use sqlx::error::DatabaseError;

/// What stands between a text and its hint.
pub(crate) const HINT: &str = "; hint: ";

/// What a person reads about an error of the server: what happened, and what to do.
struct Advice {
    what: String,
    hint: &'static str,
}

/// What an error says: in our words where there are some, else in the server's.
pub fn words(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => of_server(error.as_ref()),
        sqlx::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

/// What an error of the server says: in our words where there are some, else in the server's.
pub fn of_server(error: &dyn DatabaseError) -> String {
    let code = error.code().unwrap_or_default();
    with_hint(&code, error.message()).unwrap_or_else(|| error.message().to_owned())
}

/// The text and its hint, where it has one.
pub fn split(text: &str) -> (&str, Option<&str>) {
    match text.split_once(HINT) {
        Some((what, hint)) => (what, Some(hint)),
        None => (text, None),
    }
}

/// The text of [`super::Error::Database`].
pub(super) fn of_database(error: &sqlx::Error) -> String {
    let database = error.as_database_error();
    let told = match database {
        Some(database) => database
            .code()
            .and_then(|code| with_hint(&code, database.message())),
        None => too_deep(error),
    };
    told.unwrap_or_else(|| match database.and_then(DatabaseError::code) {
        Some(code) => format!("database error: {} (SQLSTATE {code})", words(error)),
        None => format!("database error: {}", words(error)),
    })
}

/// JSON that SQL stored and that no program of ours can read, however healthy the database is.
fn too_deep(error: &sqlx::Error) -> Option<String> {
    let is_decoding = matches!(
        error,
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)
    );
    (is_decoding && error.to_string().contains("recursion limit")).then(|| {
        format!(
            "a JSON value in the database is nested deeper than 127 levels{HINT}`tasker` cannot \
             show it; read it with psql, and submit flatter ones"
        )
    })
}

fn with_hint(code: &str, message: &str) -> Option<String> {
    let Advice { what, hint } = advice(code, message)?;
    Some(format!("{what}{HINT}{hint}"))
}

/// The words for the errors that a person can do something about.
fn advice(code: &str, message: &str) -> Option<Advice> {
    let (what, hint) = match code {
        "42501" if message.contains("for database") || message.contains("must be owner") => (
            "the account of the database may not do this",
            "`tasker migrate` runs as the account that owns the database, or that was given \
             `grant connect, create on database`",
        ),
        "42501" => (
            "the account of the database lacks a privilege",
            "give it usage on the schemas tasker and pgmq, execute on their functions, and select, \
             insert, update and delete on their tables; or use the account that ran \
             `tasker migrate`",
        ),
        "3D000" => (
            "the server has no such database",
            "create it (`createdb NAME`, then `tasker migrate`), or mend the name at the end of the \
             address",
        ),
        "28P01" => (
            "the password was refused (28P01)",
            "mend user or password in the address; a process that runs goes on by itself when the \
             server takes its password again",
        ),
        "28000" => (
            "the server does not let this account in",
            "mend the user in the address, create the role (`createuser NAME`), or allow it in \
             pg_hba.conf",
        ),
        "25006" => (
            "the server is read-only",
            "the address has to lead to the primary, not to a standby; where it does, \
             `show default_transaction_read_only` tells whether it was made read-only",
        ),
        "53300" => (
            "the server has no connection left",
            "raise max_connections of the server or the limit of the database or role, lower \
             database.max_connections of the processes, or put a pooler between them",
        ),
        "53100" => (
            "the disk of the server is full",
            "make room there; what was acknowledged is kept, and processes go on by themselves",
        ),
        "53200" | "53000" | "53400" => (
            "the server ran out of memory or of another resource",
            "look at its log; fewer connections, or less work_mem, need less",
        ),
        "57P03" => (
            "the server takes no connections at the moment",
            "it starts, stops or recovers: try again, and look at its log if that lasts",
        ),
        "57P01" | "57P02" => (
            "the server ended the connection",
            "it was restarted, or an operator ended the session: try again",
        ),
        "57014" => (
            "the server cancelled the statement",
            "it took longer than database.statement_timeout_ms, or an operator cancelled it: look at \
             the load and the locks of the database",
        ),
        _ if code.starts_with("58") => (
            "the server could not read or write its files",
            "look at its log and its disk; processes go on by themselves when it works again",
        ),
        "XX001" | "XX002" => (
            "the server says that its data is damaged",
            "look at its log, and restore the database from a backup",
        ),
        _ => return None,
    };
    Some(Advice {
        what: format!("{what}: {message}"),
        hint,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_split_from_its_hint() {
        let text = with_hint("53100", "could not extend file: No space left on device").unwrap();
        let (what, hint) = split(&text);
        assert_eq!(
            what,
            "the disk of the server is full: could not extend file: No space left on device"
        );
        assert!(hint.unwrap().starts_with("make room"), "{hint:?}");
        assert_eq!(split("nobody answers"), ("nobody answers", None));
    }

    #[test]
    fn every_class_that_a_person_can_mend_has_words() {
        for code in [
            "42501", "3D000", "28000", "28P01", "25006", "53000", "53100", "53200", "53300",
            "53400", "57014", "57P01", "57P02", "57P03", "58000", "58030", "58P01", "XX001",
        ] {
            assert!(advice(code, "m").is_some(), "{code}");
        }
        // What only a programmer can mend is left in the server's words.
        for code in ["42601", "42703", "23505", "22P02", "XX000", ""] {
            assert!(advice(code, "m").is_none(), "{code}");
        }
    }
}
