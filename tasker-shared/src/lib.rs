//! The domain of Tasker: configuration, channels, templates, states and the queries of the engine.
