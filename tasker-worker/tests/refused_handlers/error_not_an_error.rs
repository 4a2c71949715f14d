use tasker_worker::{Handlers, Step};

async fn charge(_step: Step) -> Result<u64, String> {
    Ok(1)
}

fn main() {
    let _ = Handlers::new().register("payments.charge", charge);
}
