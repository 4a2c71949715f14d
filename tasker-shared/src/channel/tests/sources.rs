//! What the workspace's sources may not do with channels.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The functions that take a capacity, ours and the thin ones around them.
const MAKERS: [&str; 6] = [
    "bounded(",
    "bounded_by_bytes(",
    "lossy(",
    "broadcast(",
    "spec(",
    "channel(",
];

/// The product's code, by file: without tests and without the module that makes channels.
fn product_code() -> Vec<(PathBuf, String)> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    for entry in fs::read_dir(workspace).unwrap() {
        let sources = entry.unwrap().path().join("src");
        if sources.is_dir() {
            collect(&sources, &mut files);
        }
    }
    files
}

fn collect(folder: &Path, files: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        if name == "tests"
            || name.ends_with("_tests")
            || path.ends_with("tasker-shared/src/channel")
        {
            continue;
        }
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap().to_owned();
            files.push((path, code));
        }
    }
}

/// Numbers and names of constants: what does not come from configuration.
fn is_fixed(value: &str) -> bool {
    let value = value.trim_start();
    value.starts_with(|first: char| first.is_ascii_digit() || first.is_ascii_uppercase())
}

/// What stands before the parenthesis that closes a call.
fn arguments(code: &str) -> &str {
    let mut depth = 1;
    let end = code.find(|next| {
        match next {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    &code[..end.unwrap_or(code.len())]
}

/// Places in `code` where a channel's capacity is fixed.
fn fixed_capacities(code: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("capacity: ") {
        let line = code[at..].lines().next().unwrap();
        if is_fixed(&line["capacity: ".len()..]) {
            found.push(line);
        }
    }
    for maker in MAKERS {
        for (at, _) in code.match_indices(maker) {
            let is_word =
                code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_');
            let arguments = arguments(&code[at + maker.len()..]);
            let mut rest = arguments.split(',').skip(1);
            if !is_word && rest.any(|argument| is_fixed(argument) && !argument.contains("::")) {
                found.push(arguments);
            }
        }
    }
    found
}

#[test]
fn no_capacity_is_fixed_in_the_code() {
    let files = product_code();
    let specs = files
        .iter()
        .filter(|(_, code)| code.contains("ChannelSpec {"));
    assert!(specs.count() > 3, "channels are made in several places");
    let sizes = files
        .iter()
        .map(|(_, code)| code.matches("buffer_size").count());
    assert!(sizes.sum::<usize>() > 10);
    for (path, code) in &files {
        let fixed = fixed_capacities(code);
        assert!(fixed.is_empty(), "{}: {fixed:?}", path.display());
    }
}

#[test]
fn a_fixed_capacity_would_be_found() {
    for code in [
        "ChannelSpec { name, capacity: 100 }",
        "ChannelSpec {\n    name,\n    capacity: COMMANDS,\n}",
        r#"let (a, b) = channel("commands", 1000);"#,
        r#"channel::lossy(spec("x", 5), policy)"#,
        r#"bounded_by_bytes(spec("x", config.size), 1024)"#,
    ] {
        assert!(!fixed_capacities(code).is_empty(), "{code}");
    }
    for code in [
        "capacity: config.command_buffer_size,",
        r#"channel("commands", worker.command_processor.command_buffer_size)"#,
        "sync_channel(1, 2)",
    ] {
        assert_eq!(fixed_capacities(code), Vec::<&str>::new());
    }
}
