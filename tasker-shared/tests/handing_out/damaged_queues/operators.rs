//! Operators and tasks whose queue is damaged.

use crate::support::act;
use serde_json::json;
use tasker_shared::operator::{self, Action};
use tasker_shared::state::TaskState;

use super::damage::ALL;
use super::{run_to_the_end, submit, world};

#[tokio::test]
async fn operators_can_act_on_tasks_whose_queue_is_damaged() {
    for damage in ALL {
        let mut world = world().await;
        let [damaged, _] = submit(&mut world, "single", 2).await;
        world.claim().await;
        let holder = damage.inflict(&mut world).await;

        let connection = &mut world.connection;
        act(connection, damaged[0], Action::CancelTask)
            .await
            .unwrap();
        let skip = operator::Settlement::Skip(json!(null));
        act(connection, damaged[1], Action::SettleStep("only", &skip))
            .await
            .unwrap();

        assert_eq!(world.task_state(damaged[0]).await, TaskState::Cancelled);
        assert_eq!(world.task_state(damaged[1]).await, TaskState::Complete);
        damage.mend(&mut world, holder).await;
        run_to_the_end(&mut world).await;
    }
}
