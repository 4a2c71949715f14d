//! A private PostgreSQL server as a child process, for development, demos, benchmarks and tests.
