//! `tasker queue`: the queues of the namespaces.

use tasker_shared::queues::list_queues;

use crate::drawing::Paint;
use crate::failure::Failure;
use crate::format::duration;
use crate::setup::Setup;
use crate::table::{Table, plain};

/// Commands about queues.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the queues with what lies in them
    List,
}

/// Runs one of the commands.
pub(crate) async fn run(command: Command, setup: &Setup) -> Result<(), Failure> {
    let Command::List = command;
    let output = setup.output();
    let database = setup.database().await?;
    let queues = database
        .call("list_queues", async |connection| {
            list_queues(connection).await
        })
        .await?;
    output.document(&serde_json::json!({ "queues": queues }))?;
    if queues.is_empty() {
        return output.text("no queues: the first template of a namespace creates its queue");
    }
    let mut table = Table::new(&["NAMESPACE", "QUEUE", "MESSAGES", "WAITING", "OLDEST"]);
    for queue in queues {
        let oldest = queue.oldest_message_age_seconds;
        let oldest = oldest.map(|age| std::time::Duration::from_secs_f64(age.max(0.0)));
        table.row([
            (queue.namespace, Paint::Bold),
            plain(queue.queue_name),
            plain(queue.length.to_string()),
            plain(queue.visible.to_string()),
            plain(oldest.map(duration).unwrap_or_default()),
        ]);
    }
    output.text(table.lines(output.look(false)).join("\n"))
}
