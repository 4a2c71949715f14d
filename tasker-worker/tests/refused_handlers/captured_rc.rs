use std::rc::Rc;

use tasker_worker::{HandlerError, Handlers, Step};

fn main() {
    let amount = Rc::new(1);
    let _ = Handlers::new().register("payments.charge", move |_step: Step| {
        let amount = *amount;
        async move { Ok::<u64, HandlerError>(amount) }
    });
}
