//! The public contract with workers in other languages, `docs/worker-protocol.md`: what it says of the
//! functions is what the database has.

#![allow(clippy::unwrap_used)]

mod support;

use support::World;

const PAGE: &str = include_str!("../../docs/worker-protocol.md");

/// The lines of the page's code block of this sort.
fn block(sort: &str) -> Vec<&'static str> {
    let begin = format!("```{sort}\n");
    let (_, block) = PAGE.split_once(&begin).unwrap();
    block.split("```").next().unwrap().lines().collect()
}

#[tokio::test]
async fn every_function_has_the_signature_that_the_page_promises() {
    let mut world = World::new().await;
    let promised = block("signatures");
    assert!(promised.len() > 10, "{promised:?}");

    for line in promised {
        let name = line.split_once('(').unwrap().0;
        let actual: String = world
            .value(format!(
                "select format('%s(%s) returns %s', '{name}', pg_get_function_arguments(oid),
                   pg_get_function_result(oid))
                 from pg_proc where oid = '{name}'::regproc"
            ))
            .await;
        assert_eq!(actual, line);
    }
}

#[tokio::test]
async fn every_type_begins_with_the_attributes_that_the_page_promises() {
    let mut world = World::new().await;

    for line in block("types") {
        let (name, promised) = line.strip_suffix(')').unwrap().split_once('(').unwrap();
        let actual: String = world
            .value(format!(
                "select string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', '
                   order by attnum)
                 from pg_attribute
                 where attrelid = '{name}'::regclass and attnum > 0 and not attisdropped"
            ))
            .await;
        assert!(actual.starts_with(promised), "{name} has {actual}");
    }
}

#[tokio::test]
async fn the_database_speaks_the_version_of_the_page() {
    let mut world = World::new().await;

    let speaks: bool = world
        .value("select 1 between oldest and newest from tasker.worker_protocol()")
        .await;

    assert!(speaks);
    assert!(PAGE.contains("This is **version 1**"));
}
