use tasker_worker::{HandlerError, Handlers, Step};

async fn charge(step: Step<u64>) -> Result<u64, HandlerError> {
    Ok(step.context)
}

fn main() {
    let _ = Handlers::new().register("payments.charge", charge);
}
