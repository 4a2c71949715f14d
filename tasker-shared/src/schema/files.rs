//! The files of `migrations/` and `functions/`, compiled in.

use std::sync::LazyLock;

use include_dir::{Dir, include_dir};
use sha2::{Digest, Sha256};

static MIGRATIONS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../migrations");
static FUNCTIONS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../functions");

static FILES: LazyLock<Vec<SchemaFile>> = LazyLock::new(|| {
    let mut migrations = all_in("migrations", &MIGRATIONS);
    let mut functions = all_in("functions", &FUNCTIONS);
    migrations.sort_by(|a, b| a.name.cmp(&b.name));
    // Bodies of functions are not looked into when they are created; those of views are.
    functions.sort_by_key(|file| (file.sql.contains(VIEW), file.name.clone()));
    migrations.append(&mut functions);
    migrations
});

const VIEW: &str = "\ncreate or replace view ";

/// One file of the schema.
#[derive(Debug)]
pub(super) struct SchemaFile {
    /// Its path in the repository.
    pub(super) name: String,
    pub(super) sql: &'static str,
    /// SHA-256 of the text, in hexadecimal.
    pub(super) checksum: String,
}

impl SchemaFile {
    /// Whether it is applied once and never changes.
    pub(super) fn is_migration(&self) -> bool {
        is_migration(&self.name)
    }
}

/// Whether this is the name of a file that is applied once and never changes.
pub(super) fn is_migration(name: &str) -> bool {
    name.starts_with("migrations/")
}

/// All files, in the order in which they are applied.
pub(super) fn all() -> &'static [SchemaFile] {
    &FILES
}

fn all_in(folder: &str, dir: &'static Dir<'static>) -> Vec<SchemaFile> {
    let here = dir.files().filter_map(|file| {
        let sql = file.contents_utf8()?;
        Some(SchemaFile {
            name: format!("{folder}/{}", file.path().display()),
            sql,
            checksum: checksum(sql),
        })
    });
    let below = dir.dirs().flat_map(|dir| all_in(folder, dir));
    here.chain(below).collect()
}

fn checksum(text: &str) -> String {
    format!("{:x}", Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_has_a_file_of_its_name() {
        for file in all().iter().filter(|file| !file.is_migration()) {
            let name = file.name.rsplit('/').next().unwrap();
            let name = name.strip_suffix(".sql").unwrap();
            let created = file
                .sql
                .lines()
                .filter_map(|line| line.strip_prefix("create or replace "))
                .collect::<Vec<_>>();
            assert!(!created.is_empty(), "{}", file.name);
            for line in created {
                let created = line.split(['(', ' ']).nth(1).unwrap();
                assert_eq!(created.trim_start_matches("tasker."), name, "{}", file.name);
            }
        }
    }

    #[test]
    fn migrations_come_first_and_in_the_order_of_their_numbers() {
        let names = all().iter().map(|file| file.name.as_str());
        let migrations = names.take_while(|name| is_migration(name));
        let numbers = migrations.map(|name| name["migrations/".len()..][..4].parse::<usize>());
        let numbers = numbers.collect::<Result<Vec<_>, _>>().unwrap();
        assert_eq!(numbers, (0..numbers.len()).collect::<Vec<_>>());
        let all_migrations = all().iter().filter(|file| file.is_migration()).count();
        assert_eq!(all_migrations, numbers.len());
    }

    #[test]
    fn a_checksum_is_sha_256() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(checksum(""), empty);
    }
}
