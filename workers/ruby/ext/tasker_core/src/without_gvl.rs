//! Waiting without the interpreter's lock, so that other Ruby threads run meanwhile. All the unsafe
//! code of the gem is in this file.

use std::any::Any;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;

use magnus::{Error, Ruby};
use rb_sys::rb_thread_call_without_gvl2;

/// What is to be run, and what it came to; it lives in the frame of [`without_gvl`].
struct Call<W, R> {
    work: Option<W>,
    result: Option<Result<R, Box<dyn Any + Send>>>,
}

/// Runs `work` without the interpreter's lock; `None` where an interrupt was pending, and it did not
/// run. `work` must not touch Ruby.
///
/// Ruby calls `unblock` from another thread to have `work` end: for `Thread#kill`, `Timeout`, signals.
pub(crate) fn without_gvl<R: Send>(
    _ruby: &Ruby,
    unblock: &(dyn Fn() + Sync),
    work: impl FnOnce() -> R + Send,
) -> Option<R> {
    let mut call = Call {
        work: Some(work),
        result: None,
    };
    run(&mut call, unblock);
    match call.result? {
        Ok(result) => Some(result),
        // To be caught where the method was called: nothing may unwind into Ruby.
        Err(panic) => resume_unwind(panic),
    }
}

/// Lets signals, `Thread#kill` and the like take effect.
pub(crate) fn check_interrupts(ruby: &Ruby) -> Result<(), Error> {
    ruby.thread_check_ints()
}

#[expect(unsafe_code, reason = "Ruby's own interface for this has no safe form")]
fn run<W: FnOnce() -> R, R>(call: &mut Call<W, R>, unblock: &(dyn Fn() + Sync)) {
    let data = ptr::from_mut(call).cast::<c_void>();
    let unblock = ptr::from_ref(&unblock).cast_mut().cast::<c_void>();
    // SAFETY: the caller has a `Ruby`, so this thread is one of Ruby's and holds the lock. Both
    // pointers are valid until the call returns, and Ruby uses neither afterwards: it takes the
    // unblocking function back under the thread's lock before it returns. The call is touched by
    // `work_of` alone, on this thread; `unblock` lies beside it and is only read. This form of the
    // call does not raise, so no frame of Rust is jumped over.
    unsafe {
        rb_thread_call_without_gvl2(Some(work_of::<W, R>), data, Some(unblock_of), unblock);
    }
}

#[expect(unsafe_code, reason = "called by Ruby")]
unsafe extern "C" fn work_of<W: FnOnce() -> R, R>(data: *mut c_void) -> *mut c_void {
    // SAFETY: `data` is the `Call` of `run`, whose types are these.
    let call = unsafe { &mut *data.cast::<Call<W, R>>() };
    if let Some(work) = call.work.take() {
        call.result = Some(catch_unwind(AssertUnwindSafe(work)));
    }
    ptr::null_mut()
}

#[expect(unsafe_code, reason = "called by Ruby")]
unsafe extern "C" fn unblock_of(data: *mut c_void) {
    // SAFETY: `data` is the variable of `run`, which outlives the call.
    let unblock = unsafe { *data.cast::<&(dyn Fn() + Sync)>() };
    // It notifies, and has nothing to tell if that should panic.
    let _ = catch_unwind(AssertUnwindSafe(unblock));
}
