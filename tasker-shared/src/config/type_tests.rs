//! Every type of the configuration has a default, and can be written down.

use std::collections::BTreeSet;

use super::*;

/// The types that are read from files: those of this folder that are declared with `Deserialize`.
fn types_read_from_files() -> BTreeSet<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/config");
    let mut types = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_file() {
            continue;
        }
        let text = std::fs::read_to_string(path).unwrap();
        let mut derives = false;
        for line in text.lines() {
            if line.starts_with("#[derive(") {
                derives = line.contains("Deserialize");
            }
            let declared = ["pub struct ", "pub enum "].map(|word| line.strip_prefix(word));
            if let Some(rest) = declared.into_iter().flatten().next() {
                let end = rest.find(|c: char| !c.is_alphanumeric()).unwrap();
                if std::mem::take(&mut derives) {
                    types.insert(rest[..end].to_owned());
                }
            }
        }
    }
    types
}

#[test]
fn no_type_of_the_configuration_lacks_its_default() {
    let mut defaulted: BTreeSet<_> = DEFAULTED.iter().map(|name| (*name).to_owned()).collect();
    defaulted.insert("TaskerConfig".to_owned());
    assert_eq!(types_read_from_files(), defaulted);
}

#[test]
fn what_is_written_down_is_what_was_read() {
    let base = merge::Merged::of_base(&layers::built_in_base()).values;
    let written = toml::Table::try_from(TaskerConfig::default()).unwrap();
    assert_eq!(written, base);
}

#[test]
fn a_password_is_not_written_down() {
    let mut config = TaskerConfig::default();
    config.database.url = "postgres://app:s3cret@db/tasker".into();
    let written = toml::to_string(&config).unwrap();
    assert!(
        written.contains("postgres://app:****@db/tasker"),
        "{written}"
    );
    assert!(!written.contains("s3cret"), "{written}");
}
