//! What is written before tasks leave.

use std::fs;

use serde_json::Value;
use tasker_shared::config::{ArchiveTarget, RetentionConfig};
use tasker_shared::history::export_task;
use tasker_shared::ids::TaskUuid;
use uuid::Uuid;

use crate::support::World;
use crate::{DAY, complete_task, config, exists, failed_task, prune, retention, with_template};

fn archiving(archive: ArchiveTarget, folder: &str) -> RetentionConfig {
    RetentionConfig {
        archive,
        archive_folder: folder.to_owned(),
        ..config()
    }
}

async fn export(world: &mut World, task: TaskUuid) -> Option<Value> {
    export_task(&mut world.connection, task).await.unwrap()
}

fn lines(folder: &std::path::Path) -> Vec<Value> {
    let Ok(files) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let texts = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    let texts: Vec<String> = texts.collect();
    let lines = texts.iter().flat_map(|text| text.lines());
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn an_export_has_the_steps_with_their_results_and_both_logs() {
    let mut world = with_template().await;
    let done = complete_task(&mut world).await;
    let failed = failed_task(&mut world).await;

    let document = export(&mut world, done).await.unwrap();
    assert_eq!(document["state"], "complete");
    assert_eq!(document["version"], "1.0.0");
    assert_eq!(document["steps"][0]["result"]["done"], "only");
    let moves: Vec<_> = document["transitions"].as_array().unwrap().iter().collect();
    let moves: Vec<_> = moves
        .iter()
        .map(|it| {
            (
                it["step"].as_str().unwrap_or("-"),
                it["to"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("-", "in_progress"),
        ("only", "enqueued"),
        ("only", "in_progress"),
        ("only", "complete"),
        ("-", "complete"),
    ];
    assert_eq!(moves, expected);

    let document = export(&mut world, failed).await.unwrap();
    assert_eq!(document["steps"][0]["error"]["message"], "no");
    assert_eq!(
        document["transitions"][3]["error"]["kind"],
        "handler_failed"
    );
    assert_eq!(export(&mut world, TaskUuid(Uuid::nil())).await, None);
}

#[tokio::test]
async fn the_table_has_what_was_exported_once_the_task_is_gone() {
    let mut world = with_template().await;
    let task = complete_task(&mut world).await;
    let before = export(&mut world, task).await;
    world.advance(DAY * 31).await;
    assert_eq!(
        prune(&mut world, &archiving(ArchiveTarget::Table, "")).await,
        1
    );

    assert!(!exists(&mut world, task).await);
    assert_eq!(export(&mut world, task).await, before);
}

#[tokio::test]
async fn a_file_has_a_line_for_each_task_that_left() {
    let mut world = with_template().await;
    let task = complete_task(&mut world).await;
    let other = failed_task(&mut world).await;
    let before = [
        export(&mut world, task).await,
        export(&mut world, other).await,
    ];
    world.advance(DAY * 91).await;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("archive");
    let config = archiving(ArchiveTarget::File, folder.to_str().unwrap());
    assert_eq!(prune(&mut world, &config).await, 2);

    assert_eq!(
        lines(&folder).into_iter().map(Some).collect::<Vec<_>>(),
        before
    );
}

#[tokio::test]
async fn what_cannot_be_archived_is_not_deleted() {
    let mut world = with_template().await;
    let task = complete_task(&mut world).await;
    world.advance(DAY * 31).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let config = archiving(ArchiveTarget::File, file.path().to_str().unwrap());
    let refused = retention(&config)
        .prune(&mut world.connection, Uuid::nil())
        .await;
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("the archive cannot be written"), "{error}");
    assert!(exists(&mut world, task).await);
}

/// As where the process is killed between the file and the commit: the task is in the archive twice.
#[tokio::test]
async fn a_task_whose_deletion_is_undone_is_archived_again() {
    let mut world = with_template().await;
    let task = complete_task(&mut world).await;
    world.advance(DAY * 31).await;
    let folder = tempfile::tempdir().unwrap();
    let config = archiving(ArchiveTarget::File, folder.path().to_str().unwrap());
    world
        .run(
            "create function refuse() returns trigger language plpgsql as $$
            begin raise exception 'not now'; end $$;
            create constraint trigger refuse after delete on tasker.tasks
            deferrable initially deferred for each row execute function refuse()",
        )
        .await;
    let failed = retention(&config)
        .prune(&mut world.connection, Uuid::nil())
        .await;
    assert!(failed.is_err());
    assert!(exists(&mut world, task).await);
    assert_eq!(lines(folder.path()).len(), 1);

    world.run("drop trigger refuse on tasker.tasks").await;
    assert_eq!(prune(&mut world, &config).await, 1);

    let lines = lines(folder.path());
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0], lines[1]);
}

#[tokio::test]
async fn a_task_too_large_for_the_archive_is_kept_and_counted() {
    let mut world = with_template().await;
    let large = complete_task(&mut world).await;
    let small = complete_task(&mut world).await;
    world
        .run(format!(
            "update tasker.steps set result_bytes = 40000000 where task_uuid = '{}'",
            large.0
        ))
        .await;
    world.advance(DAY * 31).await;
    let retention = retention(&archiving(ArchiveTarget::Table, ""));
    let pruned = retention
        .prune(&mut world.connection, Uuid::nil())
        .await
        .unwrap();
    assert_eq!((pruned.count(), pruned.too_large), (1, 1));
    assert!(exists(&mut world, large).await);
    assert!(!exists(&mut world, small).await);

    assert_eq!(
        prune(&mut world, &config()).await,
        1,
        "without an archive it goes"
    );
}
