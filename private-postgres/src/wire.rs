//! Just enough of the PostgreSQL protocol to ask the private server one simple question.
//!
//! Packages differ in the client programs they bring, so the supervisor relies on none. The server
//! is ours: unix socket, no password, no TLS.

use std::io::{self, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::cluster::SUPERUSER;
use crate::error::ServerError;

const PROTOCOL_3_0: i32 = 196_608;
/// No answer of the server that is read here is larger.
const MESSAGE_LIMIT: usize = 1024 * 1024;
const DEADLINE: Duration = Duration::from_mins(1);
/// SQLSTATE of a database that another process made in the meantime.
const DUPLICATE_DATABASE: &str = "42P04";

/// Creates the database unless it exists; says whether it did.
pub(crate) fn create_database_if_missing(socket: &Path, name: &str) -> Result<bool, ServerError> {
    let identifier = identifier(name)?;
    let mut connection = Connection::open(socket)?;
    let literal = name.replace('\'', "''");
    let exists = format!("select 1 from pg_catalog.pg_database where datname = '{literal}'");
    if connection.query(&exists)? > 0 {
        return Ok(false);
    }
    match connection.query(&format!("create database {identifier} template template0")) {
        Ok(_) => Ok(true),
        Err(ServerError::Refused { code, .. }) if code == DUPLICATE_DATABASE => Ok(false),
        Err(error) => Err(error),
    }
}

/// Creates a database as a copy of another one, in which nobody may be.
pub(crate) fn copy_database(socket: &Path, source: &str, name: &str) -> Result<(), ServerError> {
    let (source, name) = (identifier(source)?, identifier(name)?);
    let copy = format!("create database {name} template {source}");
    Connection::open(socket)?.query(&copy).map(drop)
}

/// Removes a database, and ends its sessions, where it exists.
pub(crate) fn drop_database(socket: &Path, name: &str) -> Result<(), ServerError> {
    let identifier = identifier(name)?;
    let statement = format!("drop database if exists {identifier} with (force)");
    Connection::open(socket)?.query(&statement).map(drop)
}

/// The name as SQL takes it whatever characters it has.
fn identifier(name: &str) -> Result<String, ServerError> {
    if name.is_empty() || name.len() > 63 || name.contains('\0') {
        return Err(ServerError::BadName {
            name: name.to_owned(),
        });
    }
    Ok(format!("\"{}\"", name.replace('"', "\"\"")))
}

struct Connection(BufReader<UnixStream>);

impl Connection {
    fn open(socket: &Path) -> Result<Self, ServerError> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        let mut connection = Self(BufReader::new(stream));
        let parameters = format!("user\0{SUPERUSER}\0database\0postgres\0\0");
        let start = [&PROTOCOL_3_0.to_be_bytes(), parameters.as_bytes()].concat();
        connection.send(None, &start)?;
        connection.read_until_ready()?;
        Ok(connection)
    }

    /// Runs one statement and returns the number of rows of its answer.
    fn query(&mut self, sql: &str) -> Result<usize, ServerError> {
        self.send(Some(b'Q'), format!("{sql}\0").as_bytes())?;
        self.read_until_ready()
    }

    fn send(&mut self, kind: Option<u8>, body: &[u8]) -> io::Result<()> {
        let length = i32::try_from(body.len() + 4).map_err(io::Error::other)?;
        let mut message: Vec<u8> = kind.into_iter().collect();
        message.extend(length.to_be_bytes());
        message.extend(body);
        self.0.get_mut().write_all(&message)
    }

    fn read_until_ready(&mut self) -> Result<usize, ServerError> {
        let mut rows = 0;
        let mut refusal = None;
        loop {
            let (kind, body) = match self.read_message() {
                Ok(message) => message,
                // A fatal error is followed by the end of the connection, not by "ready".
                Err(error) => return Err(refusal.unwrap_or(ServerError::Io(error))),
            };
            match kind {
                b'D' => rows += 1,
                b'E' => refusal = Some(refusal_in(&body)),
                b'Z' => return refusal.map_or(Ok(rows), Err),
                _ => {}
            }
        }
    }

    fn read_message(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 5];
        self.0.read_exact(&mut head)?;
        let [kind, length @ ..] = head;
        let length = usize::try_from(i32::from_be_bytes(length)).map_err(io::Error::other)?;
        if !(4..=MESSAGE_LIMIT).contains(&length) {
            return Err(io::Error::other(
                "the server does not speak the PostgreSQL protocol",
            ));
        }
        let mut body = vec![0; length - 4];
        self.0.read_exact(&mut body)?;
        Ok((kind, body))
    }
}

/// The fields of an error message are a letter and a text each, separated by NUL.
fn refusal_in(body: &[u8]) -> ServerError {
    let field = |letter: u8| {
        body.split(|byte| *byte == 0)
            .find(|field| field.first() == Some(&letter))
            .map(|field| String::from_utf8_lossy(&field[1..]).into_owned())
            .unwrap_or_default()
    };
    ServerError::Refused {
        code: field(b'C'),
        message: field(b'M'),
    }
}
