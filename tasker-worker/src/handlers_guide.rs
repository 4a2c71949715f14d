//! What a handler may be, and what to do where the compiler refuses one.
//!
//! A handler is an async function of one [`Step`](crate::Step) whose future is `Send`:
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use tasker_worker::{HandlerError, Handlers, Step};
//!
//! #[derive(Deserialize)]
//! struct Order { cents: u64 }
//!
//! #[derive(Deserialize)]
//! struct Settings { currency: String }
//!
//! #[derive(Serialize)]
//! struct Receipt { paid: String }
//!
//! async fn charge(step: Step<Order, Settings>) -> Result<Receipt, HandlerError> {
//!     Ok(Receipt { paid: format!("{} {}", step.context.cents, step.input.currency) })
//! }
//!
//! let handlers = Handlers::new().register("payments.charge", charge);
//! ```
//!
//! The first type of the step is what the task's context is read into, the second what the template
//! says as `input` of the step. Both are `serde_json::Value` where they are left out: `Step` alone
//! takes anything. What else a handler needs, such as a client or a pool, a closure captures, or a
//! type that implements [`Handler`](crate::Handler) holds.
//!
//! The sections below have the names that the compiler's messages give.
//!
//! # The argument is not a step
//!
//! > `fn(u64) -> impl Future<…> {charge}` is not a handler
//!
//! ```compile_fail
//! # use tasker_worker::{HandlerError, Handlers};
//! async fn charge(cents: u64) -> Result<(), HandlerError> {
//!     Ok(())
//! }
//! Handlers::new().register("payments.charge", charge);
//! ```
//!
//! A handler takes exactly one argument, a `Step`, by value: neither `&Step`, nor the context alone,
//! nor a second argument. Take `Step<u64>` and read `step.context`. What does not belong to the task
//! is captured:
//!
//! ```
//! # use std::sync::Arc;
//! # use tasker_worker::{HandlerError, Handlers, Step};
//! # struct Bank;
//! # impl Bank { async fn charge(&self, _cents: u64) -> Result<u64, HandlerError> { Ok(1) } }
//! let bank = Arc::new(Bank);
//! let handlers = Handlers::new().register("payments.charge", move |step: Step<u64>| {
//!     let bank = Arc::clone(&bank);
//!     async move { bank.charge(step.context).await }
//! });
//! ```
//!
//! The clone is for this attempt: attempts run side by side, and each owns what it uses. An
//! `async move |step| …` that captures cannot do that ("does not implement `Fn` because it captures
//! state"). The argument of a closure needs its type ("type annotations needed").
//!
//! # The function is not async
//!
//! > the handler is not async: it returns `Result<(), HandlerError>`, which is not a future
//!
//! ```compile_fail
//! # use tasker_worker::{HandlerError, Handlers, Step};
//! fn charge(step: Step) -> Result<(), HandlerError> {
//!     Ok(())
//! }
//! Handlers::new().register("payments.charge", charge);
//! ```
//!
//! Write `async fn`. Work that blocks or computes for long belongs into a thread of its own, because
//! handlers share the threads of the runtime:
//!
//! ```
//! # use tasker_worker::{HandlerError, Handlers, Step};
//! # fn blocking_call(cents: u64) -> u64 { cents }
//! async fn charge(step: Step<u64>) -> Result<u64, HandlerError> {
//!     let cents = step.context;
//!     Ok(tokio::task::spawn_blocking(move || blocking_call(cents)).await?)
//! }
//! # Handlers::new().register("payments.charge", charge);
//! ```
//!
//! # The context or the input cannot be read
//!
//! > a handler cannot take `Order`: it is not `Deserialize`
//!
//! ```compile_fail
//! # use tasker_worker::{HandlerError, Handlers, Step};
//! struct Order { cents: u64 }
//! async fn charge(step: Step<Order>) -> Result<(), HandlerError> {
//!     Ok(())
//! }
//! Handlers::new().register("payments.charge", charge);
//! ```
//!
//! Put `#[derive(serde::Deserialize)]` on the type; the crate `serde` needs its feature `derive`. A
//! type that borrows (`&str`) cannot be read either, because the step owns its data: use `String`. Take
//! `serde_json::Value` for data of any shape. Where the data of a task does not fit the type, the step
//! fails permanently and its error names the path.
//!
//! # The result cannot be written
//!
//! > a handler cannot return `Receipt`: it is not `Serialize`
//!
//! ```compile_fail
//! # use tasker_worker::{HandlerError, Handlers, Step};
//! struct Receipt { paid: u64 }
//! async fn charge(step: Step) -> Result<Receipt, HandlerError> {
//!     Ok(Receipt { paid: 1 })
//! }
//! Handlers::new().register("payments.charge", charge);
//! ```
//!
//! The result is stored as JSON and handed to the steps that depend on this one. Put
//! `#[derive(serde::Serialize)]` on the type, or return `serde_json::Value`, or `()` for nothing.
//!
//! # The function returns something else
//!
//! > a handler cannot return `u64`
//!
//! ```compile_fail
//! # use tasker_worker::{Handlers, Step};
//! async fn charge(step: Step) -> u64 {
//!     1
//! }
//! Handlers::new().register("payments.charge", charge);
//! ```
//!
//! Return `Result<u64, HandlerError>`, with `Ok(…)` around the value, or an
//! [`Outcome`](crate::Outcome).
//!
//! # The error is not an error
//!
//! > a handler cannot fail with `String`
//!
//! ```compile_fail
//! # use tasker_worker::{Handlers, Step};
//! async fn charge(step: Step) -> Result<u64, String> {
//!     Err("declined".to_owned())
//! }
//! Handlers::new().register("payments.charge", charge);
//! ```
//!
//! Say what follows from the failure: [`HandlerError::retry`](crate::HandlerError::retry) or
//! [`HandlerError::fail`](crate::HandlerError::fail) make an error of a text. An error type of your own
//! that implements `std::error::Error` is retried.
//!
//! # The future is not `Send`
//!
//! > future cannot be sent between threads safely
//!
//! ```compile_fail
//! # use std::rc::Rc;
//! # use tasker_worker::{HandlerError, Handlers, Step};
//! # async fn gateway() {}
//! async fn charge(step: Step) -> Result<(), HandlerError> {
//!     let amount = Rc::new(1);
//!     gateway().await;
//!     drop(amount);
//!     Ok(())
//! }
//! Handlers::new().register("payments.charge", charge);
//! ```
//!
//! A handler may go on in another thread after each `.await`. The message names the value that cannot
//! and the `.await` it is alive at: usually an `Rc` (use `Arc`), a `RefCell` (use a mutex), a guard of
//! `std::sync::Mutex`, or a random number generator of the thread. End such a value before the
//! `.await`, in a block of its own:
//!
//! ```
//! # use std::sync::Mutex;
//! # use tasker_worker::{HandlerError, Handlers, Step};
//! # async fn gateway(_number: u64) {}
//! static NUMBERS: Mutex<u64> = Mutex::new(0);
//!
//! async fn charge(step: Step) -> Result<(), HandlerError> {
//!     let number = {
//!         let mut numbers = NUMBERS.lock().expect("nobody panics with it");
//!         *numbers += 1;
//!         *numbers
//!     };
//!     gateway(number).await;
//!     Ok(())
//! }
//! # Handlers::new().register("payments.charge", charge);
//! ```
