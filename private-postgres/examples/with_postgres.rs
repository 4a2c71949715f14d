//! Runs a command with `DATABASE_URL` set to an empty database on a private PostgreSQL.
//!
//! `cargo run -p private-postgres --example with_postgres -- psql -c 'select version()'`
//!
//! The folder of the server's binaries comes first in the `PATH` of the command, so that client
//! programs fit the server, and `PG_MAJOR` tells its major version.

use std::env;
use std::error::Error;
use std::iter;
use std::process::{Command, ExitCode};

use private_postgres::{Durability, PrivatePostgres, Settings};

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut args = env::args_os().skip(1);
    let Some(program) = args.next() else {
        eprintln!("usage: with_postgres COMMAND [ARGUMENT]…");
        return Ok(ExitCode::from(2));
    };
    let settings = Settings::ephemeral().durability(Durability::Disposable);
    let server = PrivatePostgres::start(settings).map_err(|error| error.to_string())?;
    server.create_database_if_missing("tasker").await?;
    let binaries = server.binaries();
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(iter::once(binaries.folder.clone()).chain(env::split_paths(&path)))?;
    let status = Command::new(program)
        .args(args)
        .env("DATABASE_URL", server.url("tasker"))
        .env("PG_MAJOR", binaries.version.major.to_string())
        .env("PATH", path)
        .status()?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
