//! A queue that is missing, damaged, locked or not ours to use is the trouble of its own namespace.

use serde_json::json;
use sqlx::{Postgres, Transaction};
use tasker_shared::ids::TaskUuid;
use tasker_shared::operator;
use tasker_shared::readiness;
use tasker_shared::state::TaskState;
use tasker_shared::steps::{self, Demand, ReceivedStep};

use crate::support::{LEASE, WORKER, World, complete};
use crate::{OTHER, receive};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Damage {
    Dropped,
    Renamed,
    Altered,
    Locked,
    Forbidden,
}

const ALL: [Damage; 5] = [
    Damage::Dropped,
    Damage::Renamed,
    Damage::Altered,
    Damage::Locked,
    Damage::Forbidden,
];

impl Damage {
    /// Damages the queue of the other namespace; what is returned keeps it so.
    async fn inflict(self, world: &mut World) -> Option<Transaction<'static, Postgres>> {
        let sql = match self {
            Self::Dropped => "drop table pgmq.q_worker_other_queue".to_owned(),
            Self::Renamed => {
                "alter table pgmq.q_worker_other_queue rename to q_elsewhere".to_owned()
            }
            Self::Altered => {
                "alter table pgmq.q_worker_other_queue rename column vt to visible_at".to_owned()
            }
            Self::Locked => {
                let mut holder = world.begin().await;
                sqlx::query("lock table pgmq.q_worker_other_queue in access exclusive mode")
                    .execute(&mut *holder)
                    .await
                    .unwrap();
                world.run("set lock_timeout to '20ms'").await;
                return Some(holder);
            }
            // A role for this database alone, for roles belong to the server.
            Self::Forbidden => format!(
                "create role {0};
                 grant all on schema tasker, pgmq to {0};
                 grant all on all tables in schema tasker, pgmq to {0};
                 grant all on all sequences in schema tasker, pgmq to {0};
                 revoke all on pgmq.q_worker_other_queue from {0};
                 set role {0}",
                world.db.name()
            ),
        };
        world.run(sql).await;
        None
    }

    /// Makes the queue usable again.
    async fn mend(self, world: &mut World, holder: Option<Transaction<'static, Postgres>>) {
        match self {
            Self::Dropped | Self::Renamed => {}
            Self::Altered => {
                world
                    .run("alter table pgmq.q_worker_other_queue rename column visible_at to vt")
                    .await;
            }
            Self::Locked => holder.unwrap().rollback().await.unwrap(),
            Self::Forbidden => {
                let role = world.db.name().to_owned();
                world
                    .run(format!(
                        "reset role; drop owned by {role}; drop role {role}"
                    ))
                    .await;
            }
        }
        let made = world.value::<i32>(format!("select tasker.repair_queue('{OTHER}')"));
        assert!(made.await >= 0);
    }
}

/// Two namespaces with templates `single` and `linear`.
async fn world() -> World {
    let mut world = World::new().await;
    for namespace in ["test", OTHER] {
        for (name, steps) in [
            ("single", json!([{ "name": "only", "handler": "a" }])),
            (
                "linear",
                json!([
                    { "name": "first", "handler": "a" },
                    { "name": "second", "handler": "a", "depends_on": ["first"] },
                ]),
            ),
        ] {
            world
                .apply(json!({
                    "namespace": namespace, "name": name, "version": "1.0.0", "steps": steps,
                }))
                .await;
        }
    }
    world
}

async fn submit(world: &mut World, name: &str, count: usize) -> [Vec<TaskUuid>; 2] {
    [
        world.submit_to(OTHER, name, count).await,
        world.submit_to("test", name, count).await,
    ]
}

/// Receives from both namespaces, the damaged one first.
async fn receive_both(world: &mut World, limit: i32) -> steps::Received {
    let namespaces = [OTHER, "test"].map(str::to_owned);
    let handlers = ["a".to_owned()];
    let demand = Demand {
        handlers: Some(&handlers),
        ..Demand::of_any(&namespaces, limit, LEASE)
    };
    receive(&mut world.connection, WORKER, &demand).await
}

/// `count` running steps of each namespace, the damaged one first.
async fn running(world: &mut World, name: &str, count: usize) -> Vec<ReceivedStep> {
    submit(world, name, count).await;
    world.claim().await;
    let received = receive_both(world, 100).await.steps;
    assert_eq!(received.len(), 2 * count);
    received
}

fn troubled(troubled: &[(String, String)]) -> Vec<&str> {
    assert!(troubled.iter().all(|(_, problem)| !problem.is_empty()));
    let namespaces = troubled.iter().map(|(namespace, _)| namespace.as_str());
    namespaces.collect()
}

async fn run_to_the_end(world: &mut World) {
    loop {
        let claimed = readiness::claim_ready_tasks_of(&mut world.connection, "o", 1000, &[]);
        assert_eq!(claimed.await.unwrap().troubled, []);
        world
            .run(
                "update pgmq.q_worker_test_queue set vt = clock_timestamp();
                 update pgmq.q_worker_other_queue set vt = clock_timestamp()",
            )
            .await;
        let received = receive_both(world, 1000).await;
        assert_eq!(received.troubled, []);
        if received.steps.is_empty() {
            break;
        }
        let reports: Vec<_> = received.steps.iter().map(complete).collect();
        world.report(&reports).await;
    }
    let open: i64 = world
        .value("select count(*) from tasker.tasks where state not in ('complete', 'cancelled')")
        .await;
    assert_eq!(open, 0);
    world.assert_healthy().await;
}

#[tokio::test]
async fn claims_and_receipts_go_on_elsewhere_and_tell_of_it() {
    for damage in ALL {
        let mut world = world().await;
        submit(&mut world, "single", 3).await;
        world.claim().await;
        submit(&mut world, "single", 2).await;
        let holder = damage.inflict(&mut world).await;

        let claimed = readiness::claim_ready_tasks_of(&mut world.connection, "o", 100, &[])
            .await
            .unwrap();
        assert_eq!(troubled(&claimed.troubled), [OTHER], "{damage:?}");
        assert_eq!(claimed.tasks.len(), 2, "{damage:?}");
        assert!(claimed.tasks.iter().all(|task| task.namespace == "test"));
        let received = receive_both(&mut world, 100).await;
        assert_eq!(troubled(&received.troubled), [OTHER], "{damage:?}");
        assert_eq!(received.steps.len(), 5, "{damage:?}");
        let any = [OTHER, "test"].map(str::to_owned);
        let any = Demand::of_any(&any, 10, LEASE);
        let nothing = receive(&mut world.connection, WORKER, &any).await;
        assert_eq!(troubled(&nothing.troubled), [OTHER], "{damage:?}");

        damage.mend(&mut world, holder).await;
        run_to_the_end(&mut world).await;
    }
}

#[tokio::test]
async fn outcomes_of_steps_whose_queue_is_damaged_are_recorded() {
    for damage in ALL {
        let mut world = world().await;
        let steps = running(&mut world, "linear", 1).await;
        let holder = damage.inflict(&mut world).await;

        let reports: Vec<_> = steps.iter().map(complete).collect();
        let reported = world.report(&reports).await;

        assert_eq!(reported.stale, Vec::<usize>::new(), "{damage:?}");
        assert_eq!(reported.announcements.ready.len(), 2, "{damage:?}");
        damage.mend(&mut world, holder).await;
        run_to_the_end(&mut world).await;
    }
}

#[tokio::test]
async fn chains_go_on_in_both_namespaces_where_several_priorities_are_in_use() {
    for damage in ALL {
        let mut world = world().await;
        let steps = running(&mut world, "linear", 1).await;
        world
            .run("insert into tasker.priorities_in_use values (1), (2)")
            .await;
        let holder = damage.inflict(&mut world).await;

        let reports: Vec<_> = steps.iter().map(complete).collect();
        let reported = world.continue_as(WORKER, &reports, &["a"]).await;
        assert_eq!(reported.stale, Vec::<usize>::new(), "{damage:?}");
        assert_eq!(reported.continued.len(), 2, "{damage:?}");
        let reports: Vec<_> = reported.continued.iter().map(complete).collect();
        let reported = world.continue_as(WORKER, &reports, &["a"]).await;
        assert_eq!(reported.announcements.finished.len(), 2, "{damage:?}");

        damage.mend(&mut world, holder).await;
        run_to_the_end(&mut world).await;
    }
}

#[tokio::test]
async fn steps_are_given_back_and_leases_extended_where_that_is_possible() {
    for damage in ALL {
        let mut world = world().await;
        let steps = running(&mut world, "single", 2).await;
        let holder = damage.inflict(&mut world).await;

        let held: Vec<_> = steps.iter().map(|step| (step.id, step.receipt)).collect();
        let lost = steps::extend_leases(&mut world.connection, WORKER, &held, LEASE)
            .await
            .unwrap();
        let failed = lost
            .iter()
            .filter(|lost| lost.reason.starts_with("failed: "));
        let failed = failed.map(|lost| steps[lost.index].namespace.as_str());
        assert_eq!(failed.collect::<Vec<_>>(), [OTHER, OTHER], "{damage:?}");
        assert_eq!(lost.len(), 2, "{damage:?}");
        let steps: Vec<_> = steps.iter().collect();
        let released = world.release_as(WORKER, &steps).await;
        assert_eq!(released.stale, Vec::<usize>::new(), "{damage:?}");

        let received = receive_both(&mut world, 100).await;
        assert_eq!(received.steps.len(), 2, "{damage:?}");
        damage.mend(&mut world, holder).await;
        run_to_the_end(&mut world).await;
    }
}

#[tokio::test]
async fn timers_and_what_tends_and_lists_queues_go_on_elsewhere() {
    for damage in ALL {
        let mut world = world().await;
        let steps = running(&mut world, "single", 1).await;
        let retries: Vec<_> = steps.iter().map(crate::support::retry).collect();
        world.report(&retries).await;
        submit(&mut world, "single", 1).await;
        world.claim().await;
        world
            .run(
                "update tasker.timers set due_at = now() - interval '1 s';
                 select pgmq.send('worker_test_queue', '{}'), pgmq.send('worker_other_queue', '{}')",
            )
            .await;
        let holder = damage.inflict(&mut world).await;

        let timers = readiness::fire_due_timers(&mut world.connection, 10)
            .await
            .unwrap();
        assert_eq!(timers.fired, 2, "{damage:?}");
        assert_eq!(timers.woken_queues, ["worker_test_queue"], "{damage:?}");
        let tended = readiness::tend_queues(&mut world.connection).await.unwrap();
        assert_eq!(tended, 1, "{damage:?}");
        let listed: String = world
            .value(
                "select string_agg(format('%s %s', namespace, problem is null), ', '
                   order by namespace)
                 from tasker.list_queues()",
            )
            .await;
        assert_eq!(listed, "other f, test t", "{damage:?}");

        damage.mend(&mut world, holder).await;
        readiness::tend_queues(&mut world.connection).await.unwrap();
        run_to_the_end(&mut world).await;
    }
}

#[tokio::test]
async fn operators_can_act_on_tasks_whose_queue_is_damaged() {
    for damage in ALL {
        let mut world = world().await;
        let [damaged, _] = submit(&mut world, "single", 2).await;
        world.claim().await;
        let holder = damage.inflict(&mut world).await;

        let connection = &mut world.connection;
        operator::cancel_task(connection, damaged[0], "me", None)
            .await
            .unwrap();
        let skip = operator::Settlement::Skip(json!(null));
        operator::settle_step(connection, damaged[1], "only", &skip, "me", None)
            .await
            .unwrap();

        assert_eq!(world.task_state(damaged[0]).await, TaskState::Cancelled);
        assert_eq!(world.task_state(damaged[1]).await, TaskState::Complete);
        damage.mend(&mut world, holder).await;
        run_to_the_end(&mut world).await;
    }
}

#[tokio::test]
async fn thousands_of_ready_steps_whose_queue_is_damaged_stand_in_nobodys_way() {
    for damage in [Damage::Dropped, Damage::Locked] {
        let mut world = world().await;
        world
            .run(format!(
                "select tasker.submit_task('{OTHER}', 'single', p_priority => 9)
                 from generate_series(1, 1500)"
            ))
            .await;
        let tasks = world.submit_to("test", "single", 5).await;
        let holder = damage.inflict(&mut world).await;

        for namespaces in [&[][..], &[OTHER.to_owned(), "test".to_owned()]] {
            world.run("begin").await;
            let claimed =
                readiness::claim_ready_tasks_of(&mut world.connection, "o", 100, namespaces)
                    .await
                    .unwrap();
            assert_eq!(troubled(&claimed.troubled), [OTHER]);
            let claimed: Vec<_> = claimed.tasks.iter().map(|task| task.task_uuid).collect();
            assert_eq!(claimed, tasks);
            world.run("rollback").await;
        }

        damage.mend(&mut world, holder).await;
        run_to_the_end(&mut world).await;
    }
}

#[tokio::test]
async fn a_repaired_queue_has_its_index_and_numbers_that_nobody_has() {
    for damage in [Damage::Dropped, Damage::Renamed] {
        let mut world = world().await;
        let held = running(&mut world, "single", 3).await;
        submit(&mut world, "single", 3).await;
        world.claim().await;
        damage.inflict(&mut world).await;

        damage.mend(&mut world, None).await;

        let indexed: bool = world
            .value(
                "select exists (
                   select from pg_indexes
                   where schemaname = 'pgmq' and tablename = 'q_worker_other_queue'
                     and indexdef like '%handler%')",
            )
            .await;
        assert!(indexed, "{damage:?}");
        world.assert_healthy().await;
        submit(&mut world, "single", 3).await;
        world.claim().await;
        world.assert_healthy().await;
        let reports: Vec<_> = held.iter().map(complete).collect();
        assert_eq!(world.report(&reports).await.stale, Vec::<usize>::new());
        run_to_the_end(&mut world).await;
    }
}

#[tokio::test]
async fn a_queue_that_cannot_be_refilled_after_a_crash_keeps_no_other_from_it() {
    for damage in ALL {
        if damage == Damage::Locked {
            continue; // It is waited for, because a crash ends all sessions and it cannot be long.
        }
        let mut world = world().await;
        world.run("select tasker.use_unlogged_queues(true)").await;
        submit(&mut world, "single", 2).await;
        world.claim().await;
        world
            .run(
                "truncate pgmq.q_worker_test_queue, pgmq.q_worker_other_queue,
                 tasker.queues_intact",
            )
            .await;
        let holder = damage.inflict(&mut world).await;

        readiness::claim_ready_tasks_of(&mut world.connection, "o", 100, &[])
            .await
            .unwrap();
        let received = receive_both(&mut world, 100).await;

        assert_eq!(received.steps.len(), 2, "{damage:?}");
        damage.mend(&mut world, holder).await;
        run_to_the_end(&mut world).await;
    }
}
