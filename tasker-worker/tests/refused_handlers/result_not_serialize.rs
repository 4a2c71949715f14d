use tasker_worker::{HandlerError, Handlers, Step};

struct Receipt;

async fn charge(_step: Step) -> Result<Receipt, HandlerError> {
    Ok(Receipt)
}

fn main() {
    let _ = Handlers::new().register("payments.charge", charge);
}
