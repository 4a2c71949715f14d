use tasker_worker::{HandlerError, Handlers, Step};

async fn charge(_step: &Step) -> Result<(), HandlerError> {
    Ok(())
}

fn main() {
    let _ = Handlers::new().register("payments.charge", charge);
}
