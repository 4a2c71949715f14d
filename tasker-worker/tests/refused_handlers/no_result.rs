use tasker_worker::{Handlers, Step};

async fn charge(_step: Step) -> u64 {
    1
}

fn main() {
    let _ = Handlers::new().register("payments.charge", charge);
}
