//! What every page is made with.

pub(crate) use axum::extract::State;
pub(crate) use maud::{Markup, html};

pub(crate) use super::frame::{CHANNELS, OVERVIEW, PROCESSES, Page, QUEUES, TASKS, TEMPLATES};
pub(crate) use super::parts::*;
pub(crate) use crate::extract::{NoParams, Params, PathParts};
pub(crate) use crate::problem::Problem;
pub(crate) use crate::state::WebState;
