//! Which tasks a page is about: the parameters of its address, as a filter, in links and in words.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use maud::{Markup, html};
use serde_json::Value;
use tasker_shared::bulk::BulkFilter;
use tasker_shared::ids::TaskUuid;
use tasker_shared::tasks::TaskFilter;

use super::parts::{foreign, in_words, moment};
use crate::extract::Params;
use crate::problem::{Kind, Problem};
use crate::state::WebState;
use crate::tasks::ListParams;
use crate::{cursor, extract};

/// Where a page ended that another follows, and where one began that another precedes.
pub(crate) const CURSOR: &str = "cursor";
pub(crate) const AFTER: &str = "after";
/// Parameters that say which part of what matches is shown.
const PLACES: [&str; 3] = [CURSOR, AFTER, "limit"];

/// The parameters of an address, without those of a form that were left empty.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    params: Vec<(String, String)>,
}

impl FromRequestParts<WebState> for Filter {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, Problem> {
        let Params(params) = Params::from_request_parts(parts, state).await?;
        Ok(Self::of(params))
    }
}

impl Filter {
    fn of(params: Vec<(String, String)>) -> Self {
        let trimmed = params.into_iter().map(|(name, value)| (name, value.trim().to_owned()));
        Self {
            params: trimmed.filter(|(_, value)| !value.is_empty()).collect(),
        }
    }

    /// The list that shows the tasks of an act.
    pub(crate) fn of_act(filter: &BulkFilter) -> Self {
        let Ok(Value::Object(keys)) = serde_json::to_value(filter) else {
            return Self::default();
        };
        let params = keys.into_iter().flat_map(|(name, value)| {
            let values = match value {
                Value::Array(values) => values,
                value => vec![value],
            };
            let texts = values.into_iter().filter_map(|value| value.as_str().map(str::to_owned));
            texts.map(|text| (name.clone(), text)).collect::<Vec<_>>()
        });
        Self::of(params.collect())
    }

    /// What a parameter says; nothing where it is not there.
    pub(crate) fn get(&self, name: &str) -> &str {
        let found = self.params.iter().find(|(one, _)| one == name);
        found.map_or("", |(_, value)| value)
    }

    /// Takes a parameter away.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.params.iter().position(|(one, _)| one == name)?;
        Some(self.params.remove(at).1)
    }

    /// Whether it lets every task through.
    pub(crate) fn is_open(&self) -> bool {
        self.params.iter().all(|(name, _)| PLACES.contains(&name.as_str()))
    }

    /// Whether it shows a further page.
    pub(crate) fn is_further(&self) -> bool {
        !(self.get(CURSOR).is_empty() && self.get(AFTER).is_empty())
    }

    /// The address of another page with the same filter, and with these parameters; one that is empty is
    /// taken away. It is the first page where none of them names a place.
    pub(crate) fn address(&self, path: &str, with: &[(&str, &str)]) -> String {
        let kept = self.params.iter().filter(|(name, _)| {
            name != CURSOR && name != AFTER && with.iter().all(|(other, _)| other != name)
        });
        let kept = kept.map(|(name, value)| (name.as_str(), value.as_str()));
        let with = with.iter().copied().filter(|(_, value)| !value.is_empty());
        let params: Vec<(&str, &str)> = kept.chain(with).collect();
        let query = serde_html_form::to_string(params).unwrap_or_default();
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    }

    /// What the list is to show, by the rules of the API.
    pub(crate) fn tasks(&self, state: &WebState) -> Result<TaskFilter, Problem> {
        let mut filter = self.clone();
        let after = filter.take(AFTER);
        let cursor = filter.get(CURSOR).to_owned();
        let uri = filter.address("/", &[(CURSOR, &cursor)]).parse();
        let uri = uri.map_err(|_| Problem::new(Kind::InvalidRequest, "the address is too long"))?;
        let params: ListParams = extract::parse_query(&uri)?;
        Ok(TaskFilter {
            after: after.as_deref().map(cursor::read).transpose()?,
            ..params.filter(state)?
        })
    }
}

/// The tasks of a list as an act is started with them.
pub(crate) fn as_bulk(filter: TaskFilter) -> BulkFilter {
    BulkFilter {
        namespace: filter.namespace,
        name: filter.name,
        state: filter.state,
        since: filter.since,
        until: filter.until,
        key: filter.key,
        step: filter.step,
        error: filter.error,
    }
}

/// The tasks of an act, in words.
pub(crate) fn words(filter: &BulkFilter) -> Markup {
    let template = match (&filter.namespace, &filter.name) {
        (Some(namespace), Some(name)) => Some(format!("template {namespace}/{name}")),
        (Some(namespace), None) => Some(format!("namespace {namespace}")),
        (None, name) => name.as_ref().map(|name| format!("template {name}")),
    };
    let mut parts = vec![match filter.state {
        Some(state) => html! { "tasks in state " (in_words(state.as_str())) },
        None => html! { "tasks" },
    }];
    parts.extend(template.map(|template| html! { "of " (template) }));
    parts.extend(filter.since.map(|at| html! { "submitted since " (moment(at)) }));
    parts.extend(filter.until.map(|at| html! { "submitted before " (moment(at)) }));
    let texts = [
        ("with the idempotency key", &filter.key),
        ("of which this step failed:", &filter.step),
        ("with an error that says", &filter.error),
    ];
    for (what, text) in texts {
        parts.extend(text.iter().map(|text| html! { (what) " “" (foreign(text)) "”" }));
    }
    html! {
        @for (number, part) in parts.iter().enumerate() { @if number > 0 { ", " } (part) }
    }
}
