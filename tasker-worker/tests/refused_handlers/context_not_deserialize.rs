use tasker_worker::{HandlerError, Handlers, Step};

struct Order;

async fn charge(_step: Step<Order>) -> Result<(), HandlerError> {
    Ok(())
}

fn main() {
    let _ = Handlers::new().register("payments.charge", charge);
}
