use tasker_worker::{HandlerError, Handlers};

async fn charge(_cents: u64) -> Result<(), HandlerError> {
    Ok(())
}

fn main() {
    let _ = Handlers::new().register("payments.charge", charge);
}
