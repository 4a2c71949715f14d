//! The rows of processes: written, seen, silent, forgotten.

use tasker_shared::config::DeploymentMode;
use tasker_shared::processes::{self, Places, Process, Role};
use uuid::Uuid;

use crate::listed;
use crate::support::World;
use crate::support::processes::{SOME, register, unseen_for, worker};

#[tokio::test]
async fn a_process_is_listed_with_all_that_it_told() {
    let mut world = World::new().await;
    let orchestrator = Process {
        identity: "o".to_owned(),
        role: Role::Orchestrator,
        mode: DeploymentMode::EventDrivenOnly,
        namespaces: vec!["shop".to_owned()],
        handlers: Vec::new(),
    };
    register(&mut world, &worker("w", &[], &["a.one", "a.two"])).await;
    register(&mut world, &orchestrator).await;

    let listed = listed(&mut world).await;

    assert_eq!(listed.len(), 2);
    let (first, second) = (&listed[0], &listed[1]);
    assert_eq!((&*first.role, &*first.identity), ("orchestrator", "o"));
    assert_eq!(first.mode, "EventDrivenOnly");
    assert_eq!(first.namespaces, ["shop"]);
    assert_eq!((first.places, first.taken), (None, None));
    assert_eq!((&*second.role, &*second.identity), ("worker", "w"));
    assert_eq!(second.handlers, ["a.one", "a.two"]);
    assert_eq!((second.places, second.taken), (Some(10), Some(3)));
    assert_eq!(second.pid, i32::try_from(std::process::id()).unwrap());
    assert!(!second.host.is_empty() && !second.version.is_empty());
    let ran = (second.last_seen_at - second.started_at).num_seconds();
    assert_eq!(ran, 60, "the time since its start is its own");
    assert!(!second.silent && second.last_seen_seconds_ago < 10.0);
}

#[tokio::test]
async fn two_processes_of_one_name_are_two_and_each_takes_only_itself_away() {
    let mut world = World::new().await;
    let twin = worker("twin", &[], &[]);
    let first = register(&mut world, &twin).await;
    register(&mut world, &twin).await;
    assert_eq!(listed(&mut world).await.len(), 2);

    processes::deregister(&mut world.connection, first)
        .await
        .unwrap();

    assert_eq!(listed(&mut world).await.len(), 1);
}

#[tokio::test]
async fn a_process_that_is_seen_is_not_silent_and_its_places_are_those_of_now() {
    let mut world = World::new().await;
    let process = register(&mut world, &worker("w", &[], &[])).await;
    unseen_for(&mut world, process, 31).await;
    assert!(listed(&mut world).await[0].silent);

    let now = Places {
        offered: 0,
        taken: 2,
    };
    let known = processes::seen(&mut world.connection, process, Some(now))
        .await
        .unwrap();

    assert!(known);
    let seen = &listed(&mut world).await[0];
    assert_eq!((seen.places, seen.taken), (Some(0), Some(2)));
    assert!(!seen.silent);
}

#[tokio::test]
async fn a_process_that_is_long_gone_is_forgotten_by_the_next_one_that_writes_and_registers_again()
{
    let mut world = World::new().await;
    let gone = register(&mut world, &worker("gone", &[], &[])).await;
    let alive = register(&mut world, &worker("alive", &[], &[])).await;
    unseen_for(&mut world, gone, 61).await;

    assert!(
        processes::seen(&mut world.connection, alive, Some(SOME))
            .await
            .unwrap()
    );

    let names = listed(&mut world).await;
    let names: Vec<_> = names.iter().map(|process| &*process.identity).collect();
    assert_eq!(names, ["alive"]);
    let known = processes::seen(&mut world.connection, gone, Some(SOME)).await;
    assert!(!known.unwrap(), "it has to register again");
}

#[tokio::test]
async fn forgetting_waits_for_nobody() {
    let mut world = World::new().await;
    let gone = register(&mut world, &worker("gone", &[], &[])).await;
    let alive = register(&mut world, &worker("alive", &[], &[])).await;
    unseen_for(&mut world, gone, 61).await;
    let mut held = world.begin().await;
    sqlx::query("select from tasker.processes where registration_uuid = $1 for update")
        .bind(gone)
        .execute(&mut *held)
        .await
        .unwrap();

    world.run("set lock_timeout to '1s'").await;
    let known = processes::seen(&mut world.connection, alive, Some(SOME)).await;

    assert!(known.unwrap());
    assert_eq!(listed(&mut world).await.len(), 2);
    held.rollback().await.unwrap();
}

#[tokio::test]
async fn a_write_is_not_durable_by_itself() {
    let mut world = World::new().await;
    let process = Uuid::now_v7();
    for call in [
        format!(
            "select tasker.register_process('{process}', 'w', 'worker', 'h', 1, '0', 'Hybrid', \
             '{{}}', '{{}}', 1, 0, 0)"
        ),
        format!("select tasker.process_seen('{process}', 1, 0)"),
        format!("select tasker.deregister_process('{process}')"),
    ] {
        world.run("begin").await;
        world.run(call.clone()).await;
        let durable: String = world
            .value("select current_setting('synchronous_commit')")
            .await;
        world.run("commit").await;
        assert_eq!(durable, "off", "{call}");
    }
}

#[tokio::test]
async fn an_old_snapshot_does_not_let_the_table_grow() {
    let mut world = World::new().await;
    let process = register(&mut world, &worker("w", &[], &["a.handler"; 100])).await;
    let mut old = world.begin().await;
    sqlx::query("set transaction isolation level repeatable read")
        .execute(&mut *old)
        .await
        .unwrap();
    sqlx::query("select count(*) from pg_class")
        .execute(&mut *old)
        .await
        .unwrap();

    world
        .run(format!(
            "do $$ begin
               for n in 1..10000 loop
                 perform tasker.process_seen('{process}', 10, n % 10);
                 commit;
               end loop;
             end $$"
        ))
        .await;

    let bytes: i64 = world
        .value("select pg_relation_size('tasker.processes')")
        .await;
    assert!(bytes < 5 * 1024 * 1024, "{bytes}");
    assert_eq!(listed(&mut world).await.len(), 1);
    old.rollback().await.unwrap();
}

#[tokio::test]
async fn a_listener_is_a_live_orchestrator_that_listens_for_the_namespace() {
    let mut world = World::new().await;
    let orchestrator = |mode, namespace: &str| Process {
        role: Role::Orchestrator,
        mode,
        handlers: Vec::new(),
        ..worker("o", &[namespace], &[])
    };
    let polls = orchestrator(DeploymentMode::PollingOnly, "shop");
    register(&mut world, &polls).await;
    register(&mut world, &worker("w", &[], &[])).await;
    let silent = orchestrator(DeploymentMode::Hybrid, "shop");
    let silent = register(&mut world, &silent).await;
    unseen_for(&mut world, silent, 31).await;
    assert!(!has_listener(&mut world, &[]).await);

    let listens = orchestrator(DeploymentMode::EventDrivenOnly, "shop");
    register(&mut world, &listens).await;

    assert!(has_listener(&mut world, &[]).await);
    assert!(has_listener(&mut world, &["other", "shop"]).await);
    assert!(!has_listener(&mut world, &["other"]).await);
    let everywhere = Process {
        namespaces: Vec::new(),
        ..listens
    };
    register(&mut world, &everywhere).await;
    assert!(has_listener(&mut world, &["other"]).await);
}

async fn has_listener(world: &mut World, namespaces: &[&str]) -> bool {
    let namespaces: Vec<_> = namespaces.iter().map(|&name| name.to_owned()).collect();
    processes::has_listener(&mut world.connection, &namespaces)
        .await
        .unwrap()
}
