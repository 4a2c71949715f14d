//! What can be wrong with a queue.

use sqlx::{Postgres, Transaction};

use crate::OTHER;
use crate::support::World;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Damage {
    Dropped,
    Renamed,
    Altered,
    Locked,
    Forbidden,
}

pub(super) const ALL: [Damage; 5] = [
    Damage::Dropped,
    Damage::Renamed,
    Damage::Altered,
    Damage::Locked,
    Damage::Forbidden,
];

impl Damage {
    /// Damages the queue of the other namespace; what is returned keeps it so.
    pub(super) async fn inflict(self, world: &mut World) -> Option<Transaction<'static, Postgres>> {
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
    pub(super) async fn mend(
        self,
        world: &mut World,
        holder: Option<Transaction<'static, Postgres>>,
    ) {
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
