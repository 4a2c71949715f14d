//! A worker with two handlers of its own, running until SIGTERM or Ctrl-C.
//!
//! It needs the database of a running `tasker dev` (or another one) in `DATABASE_URL`, and a
//! template whose steps name `stock.reserve` and `payments.charge` as handlers.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tasker_worker::{HandlerError, Handlers, RunError, Step, Worker};

/// What the task was submitted with.
#[derive(Deserialize)]
struct Order {
    order_id: u64,
    cents: u64,
}

#[derive(Serialize, Deserialize)]
struct Reservation {
    shelf: String,
}

#[derive(Serialize)]
struct Receipt {
    paid: u64,
    from: String,
}

/// What it returns becomes the step's result; an error is retried as the template says.
async fn reserve(step: Step<Order>) -> Result<Reservation, HandlerError> {
    tokio::time::sleep(Duration::from_millis(20)).await;
    let shelf = format!("shelf {}", step.context.order_id % 10);
    Ok(Reservation { shelf })
}

/// Needs the result of the step named `reserve`, on which its step depends.
async fn charge(step: Step<Order>) -> Result<Receipt, HandlerError> {
    let reservation: Reservation = step.dependency("reserve")?;
    match step.context.cents {
        0 => Err(HandlerError::fail("there is nothing to pay")),
        1_000_000.. => {
            Err(HandlerError::retry("the bank wants to think").after(Duration::from_mins(1)))
        }
        paid => Ok(Receipt {
            paid,
            from: reservation.shelf,
        }),
    }
}

#[tokio::main]
async fn main() -> Result<(), RunError> {
    let handlers = Handlers::new()
        .register("stock.reserve", reserve)
        .register("payments.charge", charge);
    Worker::run(handlers).await
}
