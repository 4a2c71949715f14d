//! Test databases, worlds and fault injection for the tests of Tasker.
