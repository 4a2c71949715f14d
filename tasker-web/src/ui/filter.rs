//! Which tasks a page is about: the parameters of its address, as a filter, in links and in words.

use std::slice;

use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;
use maud::{Markup, html};
use serde_json::Value;
use tasker_shared::bulk::BulkFilter;
use tasker_shared::tasks::{Condition, TaskFilter};
use tasker_shared::words::count;

use super::parts::{self, foreign, in_words, moment};
use crate::cursor;
use crate::extract::Params;
use crate::problem::{Kind, Problem};
use crate::state::WebState;
use crate::tasks::ListQuery;

/// Where a page ended that another follows, and where one began that another precedes.
pub(crate) const CURSOR: &str = "cursor";
pub(crate) const AFTER: &str = "after";
/// The parameter with conditions, which may be repeated.
pub(crate) const WHERE: &str = "where";
/// The fields of the form: parameter, label and an example.
pub(crate) const FIELDS: [(&str, &str, &str); 9] = [
    ("namespace", "Namespace", "any"),
    ("name", "Template", "any"),
    ("since", "Submitted since", "2h, 3d or a date"),
    ("until", "Submitted before", "1h or a date"),
    (WHERE, "Search values", "order_id=42 amount>=10"),
    ("version", "Version", "1.0.0"),
    ("key", "Idempotency key", "order-1"),
    ("step", "Failed step", "charge"),
    ("error", "Error says", "card refused"),
];

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
        let single = params.into_iter().flat_map(|(name, value)| {
            let values = match &*name {
                WHERE => conditions(&value),
                _ => vec![value.trim().to_owned()],
            };
            values.into_iter().map(move |value| (name.clone(), value))
        });
        Self {
            params: single.filter(|(_, value)| !value.is_empty()).collect(),
        }
    }

    /// The list that shows the tasks of an act; of all where those of the act were selected.
    pub(crate) fn of_act(filter: &BulkFilter) -> Self {
        let keys = serde_json::to_value(BulkFilter {
            tasks: None,
            ..filter.clone()
        });
        let mut params = Vec::new();
        for (name, value) in keys
            .ok()
            .as_ref()
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let values = value
                .as_array()
                .map_or(slice::from_ref(value), Vec::as_slice);
            let texts = values.iter().filter_map(Value::as_str);
            params.extend(texts.map(|text| (name.clone(), text.to_owned())));
        }
        Self::of(params)
    }

    /// What stands in a field; nothing where it is not there.
    pub(crate) fn get(&self, name: &str) -> String {
        let found = self.params.iter().filter(|(one, _)| one == name);
        found
            .map(|(_, value)| value.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Takes a parameter away.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.params.iter().position(|(one, _)| one == name)?;
        Some(self.params.remove(at).1)
    }

    /// Whether it lets every task through.
    pub(crate) fn is_open(&self) -> bool {
        self.params
            .iter()
            .all(|(name, _)| PLACES.contains(&name.as_str()))
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
        let params: Vec<_> = kept.chain(with.iter().copied()).collect();
        parts::address(path, &params)
    }

    /// What the list is to show, by the rules of the API.
    pub(crate) fn tasks(&self, state: &WebState) -> Result<TaskFilter, Problem> {
        let mut filter = self.clone();
        let after = filter.take(AFTER);
        let cursor = filter.get(CURSOR);
        let uri = filter.address("/", &[(CURSOR, &cursor)]).parse::<Uri>();
        let uri = uri.map_err(|_| Problem::new(Kind::InvalidRequest, "the address is too long"))?;
        Ok(TaskFilter {
            after: after.as_deref().map(cursor::read).transpose()?,
            ..ListQuery::read(&uri)?.filter(state)?
        })
    }
}

/// The conditions in a field: each begins at a word that is one, and has the words up to the next in its
/// value. So a value may have spaces.
fn conditions(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match found.last_mut() {
            Some(last) if word.parse::<Condition>().is_err() => {
                last.push(' ');
                last.push_str(word);
            }
            _ => found.push(word.to_owned()),
        }
    }
    if let Some((_, before)) = found.split_last_mut() {
        for condition in before {
            condition.truncate(condition.trim_end_matches([',', ' ']).len());
        }
    }
    found
}

/// The tasks of a list as an act is started with them.
pub(crate) fn as_bulk(filter: TaskFilter) -> BulkFilter {
    BulkFilter {
        namespace: filter.namespace,
        name: filter.name,
        version: filter.version,
        state: filter.state,
        since: filter.since,
        until: filter.until,
        key: filter.key,
        step: filter.step,
        error: filter.error,
        conditions: filter.conditions,
        tasks: None,
    }
}

/// The tasks of an act, in words.
pub(crate) fn words(act: &BulkFilter) -> Markup {
    let filter = Filter::of_act(act);
    let label = |name: &str| {
        let found = FIELDS.iter().find(|(field, ..)| *field == name);
        found.map_or(in_words(name), |(_, label, _)| label.to_lowercase())
    };
    html! {
        @match &act.tasks { Some(tasks) => (count(tasks.len(), "selected task")), None => "all tasks" }
        @for ((name, value), number) in filter.params.iter().zip(0..) {
            (if number == 0 { " with " } else { ", " }) (label(name)) " "
            @match value.parse() { Ok(at) => (moment(at)), Err(_) => { "“" (foreign(value)) "”" } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(params: &[(&str, &str)]) -> Filter {
        let owned = params
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Filter::of(owned.collect())
    }

    #[test]
    fn empty_fields_do_not_restrict() {
        let filter = filter(&[("state", ""), ("name", "  "), ("key", " a b ")]);
        assert_eq!(filter.address("/x", &[]), "/x?key=a+b");
        assert!(!filter.is_open());
    }

    #[test]
    fn a_link_keeps_the_filter_and_not_the_page() {
        let filter = filter(&[("state", "error"), ("cursor", "c"), ("limit", "5")]);
        assert_eq!(filter.address("/x", &[]), "/x?state=error&limit=5");
        assert_eq!(
            filter.address("/x", &[("state", ""), ("after", "a")]),
            "/x?limit=5&after=a"
        );
    }

    #[test]
    fn conditions_stand_in_one_field() {
        for (text, expected) in [
            ("a=1", vec!["a=1"]),
            ("a=1 b.c>=2", vec!["a=1", "b.c>=2"]),
            ("a=1, b^=x", vec!["a=1", "b^=x"]),
            ("a=New  York b=2", vec!["a=New York", "b=2"]),
            ("a=1,2", vec!["a=1,2"]),
            ("nonsense", vec!["nonsense"]),
        ] {
            assert_eq!(conditions(text), expected, "{text}");
        }
    }
}
