//! What an upgrade makes of the schema of each release.

use sqlx::PgConnection;
use tasker_shared::doctor;
use tasker_shared::schema::{SchemaState, migrate, schema_state};
use tasker_testing::{Release, TestDatabase, releases};

use crate::database_of;

#[tokio::test]
async fn an_upgraded_database_has_the_schema_of_a_new_one_and_sound_content() {
    let new = new_schema().await;
    for release in releases() {
        let db = database_of(&release).await;
        let database = db.database().await;

        migrate(&database).await.unwrap();

        let version = &release.version;
        let state = schema_state(&database).await.unwrap();
        assert_eq!(state, SchemaState::Current, "{version}");
        assert_same(&db.schema().await, &new, version);
        let findings = doctor::examine(&mut db.connect().await).await.unwrap();
        assert!(findings.is_empty(), "{version}: {findings:?}");
    }
}

#[tokio::test]
async fn every_function_can_be_applied_over_that_of_a_release() {
    let new = new_schema().await;
    for release in releases() {
        let db = database_of(&release).await;
        let database = db.database().await;
        let mut connection = db.connect().await;
        let forget = "update tasker.applied_files set checksum = '' where file like 'functions/%'";
        sqlx::query(forget).execute(&mut connection).await.unwrap();

        let migrated = migrate(&database).await.unwrap();

        assert!(migrated.changed, "{}", release.version);
        assert_same(&db.schema().await, &new, &release.version);
    }
}

#[tokio::test]
async fn what_a_release_calls_and_reads_is_still_there() {
    for release in releases() {
        let db = database_of(&release).await;
        let mut connection = db.connect().await;
        let functions = functions(&mut connection, &release).await;
        assert!(functions.len() >= release.calls.len(), "{release:?}");
        let columns = columns(&mut connection).await;

        migrate(&db.database().await).await.unwrap();

        let now = self::functions(&mut connection, &release).await;
        for (call, answer) in functions {
            let answers = now.iter().filter(|(name, _)| *name == call);
            let answers = answers.map(|(_, now)| now).collect::<Vec<_>>();
            assert_eq!(answers, [&answer], "{call}");
        }
        let now = self::columns(&mut connection).await;
        for column in columns {
            assert!(now.contains(&column), "{column} is gone");
        }
    }
}

/// The schema of a database that this build made, with the queue of the dumps.
async fn new_schema() -> String {
    let db = TestDatabase::create().await;
    let mut connection = db.connect().await;
    let queue = "insert into tasker.namespaces (namespace) values ('test');
      select tasker.create_queue('worker_test_queue')";
    sqlx::raw_sql(queue).execute(&mut connection).await.unwrap();
    db.schema().await
}

/// Compares line by line, and shows the first lines that differ.
#[track_caller]
fn assert_same(upgraded: &str, new: &str, version: &str) {
    let mut lines = upgraded.lines().zip(new.lines());
    let differing = lines.find(|(upgraded, new)| upgraded != new);
    assert_eq!(differing, None, "{version}");
    assert_eq!(upgraded.len(), new.len(), "{version}");
}

/// The functions that programs of a release call, with the names, types and defaults of their
/// parameters, and what each answers.
async fn functions(connection: &mut PgConnection, release: &Release) -> Vec<(String, String)> {
    let functions = "select proname || '(' || pg_get_function_arguments(oid) || ')',
        pg_get_function_result(oid)
      from pg_proc where pronamespace = 'tasker'::regnamespace and proname = any($1)";
    let functions = sqlx::query_as(functions).bind(&release.calls);
    functions.fetch_all(connection).await.unwrap()
}

/// The columns of tables, views and composite types.
async fn columns(connection: &mut PgConnection) -> Vec<String> {
    let columns = "select attrelid::regclass || '.' || attname || ' '
        || format_type(atttypid, atttypmod)
      from pg_attribute join pg_class on pg_class.oid = attrelid
      where relnamespace = 'tasker'::regnamespace and relkind in ('r', 'v', 'c')
        and attnum > 0 and not attisdropped";
    sqlx::query_scalar(columns)
        .fetch_all(connection)
        .await
        .unwrap()
}
