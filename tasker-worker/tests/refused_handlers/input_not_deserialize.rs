use tasker_worker::{HandlerError, Handlers, Step};

struct Settings;

async fn charge(_step: Step<u64, Settings>) -> Result<(), HandlerError> {
    Ok(())
}

fn main() {
    let _ = Handlers::new().register("payments.charge", charge);
}
