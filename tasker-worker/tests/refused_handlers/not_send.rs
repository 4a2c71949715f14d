use std::rc::Rc;

use tasker_worker::{HandlerError, Handlers, Step};

async fn charge(_step: Step) -> Result<(), HandlerError> {
    let amount = Rc::new(1);
    std::future::ready(()).await;
    drop(amount);
    Ok(())
}

fn main() {
    let _ = Handlers::new().register("payments.charge", charge);
}
