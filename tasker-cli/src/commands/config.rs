//! `tasker config`: what the configuration is and whether it can be used.

use serde_json::json;

use crate::drawing::Paint;
use crate::failure::Failure;
use crate::setup::{Setup, load};
use crate::table::{Table, plain};

const EXAMPLES: &str = "\
The configuration comes from the files compiled into the program, the folder $TASKER_CONFIG_DIR or
./config/tasker (base/ and environments/$TASKER_ENV/), and environment variables such as
TASKER__WORKER__CONCURRENCY=20, DATABASE_URL and DEPLOYMENT_MODE; what comes later wins. Unknown
keys are refused, and so is TASKER_WORKER__CONCURRENCY, with one underscore after TASKER.";

/// Commands about the configuration.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// Check the configuration and say where it is wrong
    Validate,
    /// Print every key with its value and where that comes from, passwords masked
    Show,
}

/// Runs one of the commands.
pub(crate) fn run(command: &Command, setup: &Setup) -> Result<(), Failure> {
    let output = setup.output();
    let loaded = load()?;
    let folder = loaded
        .folder
        .as_ref()
        .map(|folder| folder.display().to_string());
    match command {
        Command::Validate => {
            output.document(&json!({
                "valid": true,
                "environment": loaded.environment,
                "folder": folder,
            }))?;
            let folder = folder.as_deref().unwrap_or("no configuration folder");
            let environment = &loaded.environment;
            output.text(format!(
                "the configuration is valid (environment {environment}, {folder})"
            ))
        }
        Command::Show => {
            output.document(&json!({
                "environment": loaded.environment,
                "folder": folder,
                "settings": loaded.settings(),
            }))?;
            let mut table = Table::new(&["KEY", "VALUE", "FROM"]);
            for setting in loaded.settings() {
                table.row([
                    (setting.key.clone(), Paint::Bold),
                    plain(setting.value.to_string()),
                    plain(setting.source.to_string()),
                ]);
            }
            output.text(table.lines(output.style(false)).join("\n"))
        }
    }
}
