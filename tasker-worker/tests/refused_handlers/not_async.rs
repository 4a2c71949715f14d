use tasker_worker::{HandlerError, Handlers, Step};

fn charge(_step: Step) -> Result<(), HandlerError> {
    Ok(())
}

fn main() {
    let _ = Handlers::new().register("payments.charge", charge);
}
