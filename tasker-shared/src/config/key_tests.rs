//! Base files, structs and readers agree on which keys there are.

use super::*;

/// The dotted keys of the base files.
pub(super) fn base_keys() -> Vec<String> {
    merge::leaf_keys(&base().values)
}

fn base() -> merge::Merged {
    merge::Merged::of_base(&layers::built_in_base())
}

fn deserialized(values: toml::Table) -> Result<TaskerConfig, toml::de::Error> {
    values.try_into()
}

/// Removes the value at `key` and returns its name and the table it was in.
fn remove<'a>(values: &'a mut toml::Table, key: &str) -> (&'a mut toml::Table, String) {
    let mut path: Vec<&str> = key.split('.').collect();
    let name = path.pop().unwrap().to_owned();
    let table = path
        .into_iter()
        .fold(values, |table, part| table[part].as_table_mut().unwrap());
    table.remove(&name).unwrap();
    (table, name)
}

#[test]
fn the_base_files_are_free_of_problems() {
    let base = base();
    assert_eq!(base.problems, []);
    deserialized(base.values).unwrap();
    assert!(base_keys().len() > 40);
}

/// Every key in the base files is declared, for the structs refuse others; every declared key is in
/// the base files, for none may be left out.
#[test]
fn structs_and_base_files_declare_the_same_keys() {
    for key in base_keys() {
        let mut without = base().values;
        remove(&mut without, &key);
        assert!(deserialized(without).is_err(), "{key} can be left out");

        let mut misspelt = base().values;
        let (table, name) = remove(&mut misspelt, &key);
        table.insert(format!("{name}_"), toml::Value::Integer(1));
        assert!(deserialized(misspelt).is_err(), "{key}_ is accepted");
    }
    for section in [
        "database",
        "worker.deployment",
        "mpsc_channels.shared.announcer",
    ] {
        let mut more = base().values;
        let first = base_keys()
            .into_iter()
            .find(|key| key.starts_with(section))
            .unwrap();
        let (table, name) = remove(&mut more, &first);
        let value = merge::lookup(&base().values, &first).unwrap().clone();
        table.insert(name, value);
        table.insert("unknown".to_owned(), toml::Value::Integer(1));
        let error = deserialized(more).unwrap_err().to_string();
        assert!(error.contains("unknown field"), "{error}");
    }
}

#[test]
fn every_base_key_is_documented() {
    for file in layers::built_in_base() {
        let mut documented = false;
        for line in file.text.lines() {
            if line.starts_with('#') {
                documented = true;
            } else if line.is_empty() {
                documented = false;
            } else if !line.starts_with('[') {
                assert!(documented, "no comment above {line:?}");
                documented = false;
            }
        }
    }
}

/// A key is read where a crate names its field, or the method that gives it as a name, and its
/// section or the section's struct.
#[test]
fn every_key_is_read() {
    let sources = workspace_sources::of_each_crate("tasker-shared/src/config");
    let is_read = |key: &String| sources.iter().any(|source| reads(source, key));
    let unread: Vec<_> = base_keys()
        .into_iter()
        .filter(|key| !is_read(key))
        .collect();
    assert_eq!(unread, Vec::<String>::new());
}

fn reads(source: &str, key: &str) -> bool {
    let mut path = key.rsplit('.');
    let (field, section) = (path.next().unwrap(), path.next().unwrap());
    let field = match field {
        "instance_id" => "instance_name()",
        _ => field
            .strip_suffix("_ms")
            .or(field.strip_suffix("_seconds"))
            .unwrap_or(field),
    };
    let read = has_word(source, &format!(".{field}"));
    read && (has_word(source, &format!(".{section}")) || has_word(source, &struct_name(section)))
}

fn struct_name(section: &str) -> String {
    let words = section
        .split('_')
        .map(|word| word[..1].to_uppercase() + &word[1..]);
    words.collect::<String>() + "Config"
}

/// Whether `word` ends where it does in `text`, not in the middle of a longer one.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        !text[at + word.len()..].starts_with(|next: char| next.is_alphanumeric() || next == '_')
    })
}
