//! A private server against the real PostgreSQL of this machine.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use private_postgres::{Durability, PrivatePostgres, ServerError, Settings, StartError};
use tempfile::TempDir;

/// Makes the process that [`holds_a_server_until_it_is_killed`] stands for do its work.
const HOLDER: &str = "TEST_HOLDS_A_SERVER";

/// A folder that the account of the server can enter.
fn open_dir() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

fn persistent(dir: &Path) -> Settings {
    Settings::persistent(dir)
        .durability(Durability::Disposable)
        .set("shared_buffers", "16MB")
}

fn ephemeral() -> Settings {
    Settings::ephemeral()
        .durability(Durability::Disposable)
        .set("shared_buffers", "16MB")
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !condition() {
        assert!(Instant::now() < deadline, "still waiting: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

#[tokio::test]
async fn a_database_is_created_once_whatever_its_name() {
    let server = PrivatePostgres::start(ephemeral()).unwrap();
    for name in ["tasker", "O'Brien \"the\" 2nd"] {
        assert!(
            server.create_database_if_missing(name).await.unwrap(),
            "{name}"
        );
        assert!(
            !server.create_database_if_missing(name).await.unwrap(),
            "{name}"
        );
    }
    let error = server.create_database_if_missing("").await.unwrap_err();
    assert!(matches!(error, ServerError::BadName { .. }), "{error}");
}

#[tokio::test]
async fn a_database_can_be_copied_and_removed() {
    let server = PrivatePostgres::start(ephemeral()).unwrap();
    server
        .create_database_if_missing("a \"source\"")
        .await
        .unwrap();

    server.copy_database("a \"source\"", "copy").await.unwrap();

    assert!(!server.create_database_if_missing("copy").await.unwrap());
    server.copy_database("nowhere", "other").await.unwrap_err();
    for _ in 0..2 {
        server.drop_database("copy").await.unwrap();
    }
    assert!(server.create_database_if_missing("copy").await.unwrap());
    for error in [
        server.copy_database("copy", "n\0").await.unwrap_err(),
        server.drop_database("").await.unwrap_err(),
    ] {
        assert!(matches!(error, ServerError::BadName { .. }), "{error}");
    }
}

#[tokio::test]
async fn the_url_names_the_socket_folder_and_the_database() {
    let server = PrivatePostgres::start(ephemeral()).unwrap();
    let url = server.url("my db");
    assert!(
        url.starts_with("postgres://postgres@localhost:5432/my%20db?host=/"),
        "{url}"
    );
    assert!(server.socket().exists());
}

#[tokio::test]
async fn data_is_found_again_by_the_next_start() {
    let dir = open_dir();
    let first = PrivatePostgres::start(persistent(&dir.path().join("pg"))).unwrap();
    assert!(first.create_database_if_missing("kept").await.unwrap());
    drop(first);
    let second = PrivatePostgres::start(persistent(&dir.path().join("pg"))).unwrap();
    assert!(!second.create_database_if_missing("kept").await.unwrap());
}

#[tokio::test]
async fn a_killed_server_comes_back_with_its_data_under_the_same_url() {
    let mut server = PrivatePostgres::start(ephemeral()).unwrap();
    let (url, pid) = (server.url("kept"), server.pid());
    server.create_database_if_missing("kept").await.unwrap();
    server.kill().unwrap();
    assert_eq!(server.pid(), None);
    server.create_database_if_missing("kept").await.unwrap_err();
    server.restart().unwrap();
    assert!(!server.create_database_if_missing("kept").await.unwrap());
    assert_eq!(server.url("kept"), url);
    assert_ne!(server.pid(), pid);
}

#[tokio::test]
async fn a_second_start_on_the_same_folder_names_who_holds_it() {
    let dir = open_dir();
    let folder = dir.path().join("pg");
    let first = PrivatePostgres::start(persistent(&folder)).unwrap();
    let error = PrivatePostgres::start(persistent(&folder)).unwrap_err();
    assert!(
        matches!(error, StartError::AlreadyRunning { .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains(&std::process::id().to_string()),
        "{error}"
    );
    assert!(
        first
            .create_database_if_missing("undisturbed")
            .await
            .unwrap()
    );
}

#[test]
fn data_of_another_major_version_is_refused_untouched() {
    let dir = open_dir();
    let folder = dir.path().join("pg");
    drop(PrivatePostgres::start(persistent(&folder)).unwrap());
    let version = folder.join("data/PG_VERSION");
    fs::write(&version, "9\n").unwrap();
    let error = PrivatePostgres::start(persistent(&folder)).unwrap_err();
    assert!(
        matches!(error, StartError::VersionMismatch { .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("made by PostgreSQL 9"),
        "{error}"
    );
    assert_eq!(fs::read_to_string(version).unwrap(), "9\n");
}

#[test]
fn a_first_start_that_was_cut_short_is_done_again() {
    let dir = open_dir();
    let half_made = dir.path().join("pg/data.new");
    fs::create_dir_all(&half_made).unwrap();
    fs::write(half_made.join("PG_VERSION"), "15\n").unwrap();
    PrivatePostgres::start(persistent(&dir.path().join("pg"))).unwrap();
    assert!(!half_made.exists());
}

#[test]
fn a_folder_with_other_content_is_left_alone() {
    let dir = open_dir();
    let file = dir.path().join("letter.txt");
    fs::write(&file, "dear").unwrap();
    let error = PrivatePostgres::start(persistent(dir.path())).unwrap_err();
    assert!(matches!(error, StartError::NotOurs { .. }), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_long_path_still_has_a_socket() {
    let dir = open_dir();
    let folder = dir.path().join("a".repeat(90));
    let server = PrivatePostgres::start(persistent(&folder)).unwrap();
    assert!(
        server
            .create_database_if_missing("reachable")
            .await
            .unwrap()
    );
    let socket_dir = server.socket().parent().unwrap().to_owned();
    drop(server);
    fs::remove_dir_all(socket_dir).unwrap();
}

#[test]
fn a_setting_the_server_refuses_is_shown_in_its_words() {
    let error = PrivatePostgres::start(ephemeral().set("work_mem", "lots")).unwrap_err();
    assert!(matches!(error, StartError::Exited { .. }), "{error}");
    assert!(error.to_string().contains("work_mem"), "{error}");
}

#[tokio::test]
async fn the_server_outlives_the_thread_that_started_it() {
    let server = thread::spawn(|| PrivatePostgres::start(ephemeral()).unwrap())
        .join()
        .unwrap();
    assert!(server.create_database_if_missing("alive").await.unwrap());
}

#[test]
fn an_ephemeral_folder_is_gone_after_the_end() {
    let server = PrivatePostgres::start(ephemeral()).unwrap();
    let folder = server.data_dir().to_owned();
    assert!(folder.exists());
    drop(server);
    assert!(!folder.exists());
}

#[test]
fn a_pid_file_whose_number_went_to_another_process_does_not_block_a_start() {
    let dir = open_dir();
    let folder = dir.path().join("pg");
    drop(PrivatePostgres::start(persistent(&folder)).unwrap());
    fs::write(
        folder.join("data/postmaster.pid"),
        format!("{}\n", std::process::id()),
    )
    .unwrap();
    PrivatePostgres::start(persistent(&folder)).unwrap();
}

#[test]
fn root_is_told_which_folder_shuts_the_server_out() {
    if !is_root() {
        return; // Only root has to borrow another account.
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let error = PrivatePostgres::start(persistent(&dir.path().join("pg"))).unwrap_err();
    let StartError::Unreachable { blocked, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(blocked, dir.path());
}

#[test]
#[ignore = "a process for the test below"]
fn holds_a_server_until_it_is_killed() {
    if env::var_os(HOLDER).is_none() {
        return;
    }
    let server = PrivatePostgres::start(ephemeral()).unwrap();
    println!("folder {}", server.data_dir().display());
    println!("pid {}", server.pid().unwrap());
    loop {
        thread::park();
    }
}

/// A process that holds a server, with the folder and the process id of the server.
fn holder(env: &[(&str, &Path)]) -> (Child, PathBuf, String) {
    let mut holder = Command::new(env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "holds_a_server_until_it_is_killed",
            "--nocapture",
        ])
        .env(HOLDER, "1")
        .envs(env.iter().copied())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let mut word = |name: &str| lines.find_map(|line| Some(line.strip_prefix(name)?.to_owned()));
    let folder = word("folder ").unwrap();
    let server = word("pid ").unwrap();
    (holder, folder.into(), server)
}

#[test]
fn a_killed_process_leaves_neither_server_nor_ephemeral_folder() {
    let (mut holder, folder, server) = holder(&[]);
    assert!(folder.exists());
    holder.kill().unwrap();
    holder.wait().unwrap();
    wait_until("the server ends", || {
        !Path::new("/proc").join(&server).exists()
    });
    wait_until("its folder is removed", || !folder.exists());
}

#[test]
fn root_with_a_temporary_folder_of_its_own_gets_a_server_elsewhere() {
    if !is_root() {
        return; // Only root has to borrow another account.
    }
    let private = tempfile::tempdir().unwrap();
    fs::set_permissions(private.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let (mut holder, folder, _) = holder(&[("TMPDIR", private.path())]);
    assert!(!folder.starts_with(private.path()), "{}", folder.display());
    holder.kill().unwrap();
    holder.wait().unwrap();
    wait_until("its folder is removed", || !folder.exists());
}
