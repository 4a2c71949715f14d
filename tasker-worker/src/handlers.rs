//! The handlers of a worker, by name.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use tasker_shared::template::Template;

use crate::builtin;
use crate::handler::{AnyHandler, FromJson, HandlerFuture, IntoHandler};
use crate::outcome::IntoOutcome;

/// The handlers of a worker, by the names that templates use; the built-in ones are always there.
#[derive(Clone)]
pub struct Handlers(HashMap<String, AnyHandler>);

impl Handlers {
    /// The built-in handlers alone.
    pub fn new() -> Self {
        let builtin = builtin::all().map(|(name, handler)| (name.to_owned(), handler));
        Self(builtin.into())
    }

    /// Adds a handler: an async function of a [`Step`](crate::Step), or a
    /// [`Handler`](crate::Handler). Where the compiler refuses it, the
    /// [`handlers_guide`](crate::handlers_guide) says why.
    ///
    /// # Panics
    /// When the name is taken, or begins with `builtin.`: no template may use such a name but those of
    /// the built-in handlers.
    #[track_caller]
    #[must_use]
    pub fn register<Kind, H>(self, name: impl Into<String>, handler: H) -> Self
    where
        H: IntoHandler<Kind> + Send + Sync + 'static,
        H::Context: FromJson + Send,
        H::Input: FromJson + Send,
        H::Future: HandlerFuture + Send + 'static,
        <H::Future as HandlerFuture>::Ended: IntoOutcome,
    {
        let name = name.into();
        assert!(
            !name.starts_with(Template::BUILTIN_PREFIX),
            "the name {name:?} is reserved: only built-in handlers have names that begin with {:?}",
            Template::BUILTIN_PREFIX
        );
        self.add(name, AnyHandler::new(handler))
    }

    /// Adds a handler under a name of any kind.
    #[track_caller]
    pub(crate) fn add(mut self, name: impl Into<String>, handler: AnyHandler) -> Self {
        match self.0.entry(name.into()) {
            Entry::Vacant(entry) => entry.insert(handler),
            Entry::Occupied(entry) => panic!("two handlers are named {:?}", entry.key()),
        };
        self
    }

    /// The names of all handlers, in no order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&AnyHandler> {
        self.0.get(name)
    }
}

impl Default for Handlers {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use crate::{HandlerError, Step};

    use super::*;

    async fn charge(_step: Step) -> Result<(), HandlerError> {
        Ok(())
    }

    #[test]
    fn built_in_handlers_are_there_beside_those_registered() {
        let handlers = Handlers::new().register("payments.charge", charge);

        let mut names = handlers.names().collect::<Vec<_>>();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "builtin.echo",
                "builtin.fail",
                "builtin.http",
                "builtin.noop",
                "builtin.sleep",
                "payments.charge"
            ]
        );
    }

    #[test]
    #[should_panic(expected = "two handlers are named \"payments.charge\"")]
    fn a_name_is_given_once() {
        let handlers = Handlers::new().register("payments.charge", charge);
        let _ = handlers.register("payments.charge", charge);
    }

    #[test]
    #[should_panic(expected = "the name \"builtin.mine\" is reserved")]
    fn names_of_built_in_handlers_are_not_given_to_others() {
        let _ = Handlers::new().register("builtin.mine", charge);
    }
}
