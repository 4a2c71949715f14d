//! Events, sent to clients as they happen (server-sent events).

use std::collections::HashSet;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{ConnectInfo, State};
use axum::http::HeaderName;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::unfold;
use serde::Deserialize;
use serde_json::json;
use tasker_shared::events::{EventDocument, LifecycleEvent, Occurrence};
use tasker_shared::ids::TaskUuid;
use tracing::error;
use utoipa::IntoParams;

use crate::connection::Carries;
use crate::event_feed::NotSubscribed;
use crate::extract::{self, Params};
use crate::problem::{Kind, Problem};
use crate::state::WebState;
use crate::tasks::parse_task_uuid;

/// After so long without an event a comment is sent: proxies close what is silent, and a client
/// that has gone shows when it is written to.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Tells proxies of the nginx family not to gather what is sent.
pub(crate) const NO_BUFFERING: (HeaderName, &str) =
    (HeaderName::from_static("x-accel-buffering"), "no");

/// The event that says to a slow client what it missed.
const LAGGED: &str = "lagged";

/// Which events to send.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventParams {
    /// Only events of tasks of this namespace, which need not be there yet.
    #[serde(default, deserialize_with = "extract::namespace")]
    #[param(pattern = "^[a-z][a-z0-9_]{0,28}$")]
    namespace: Option<String>,
    /// Only events of this task.
    #[param(value_type = Option<Uuid>)]
    task_uuid: Option<String>,
    /// Only events of these names, with commas between them.
    #[param(example = "step_failed,task_finished")]
    types: Option<String>,
}

/// The events that a client wants.
struct Filter {
    namespace: Option<String>,
    task_uuid: Option<TaskUuid>,
    types: Option<HashSet<Occurrence>>,
}

/// Subscribe to events
///
/// Sends what happens to tasks and steps from here on, in whichever process, as server-sent events:
/// each has the name of what happened as its `event` and an object as its `data`. They come in the
/// order in which they happened, except for what is committed late.
///
/// Events may be lost: a client that is too slow gets an event `lagged` whose `data` says how many
/// it `missed`, 0 where that is unknown, and goes on with the next. There are no ids to resume from.
/// A client that connects again, or lagged, looks at the tasks that it cares about. A server that
/// stops ends the streams; what a client has not read a second later may be lost.
#[utoipa::path(
    get,
    path = "/v1/events",
    tag = "events",
    params(EventParams),
    responses(
        (
            status = 200,
            body = EventDocument,
            content_type = "text/event-stream",
            description = "Events, each as `event:` and `data:`, until either side ends it.",
        ),
        (status = 503, response = Problem),
    ),
)]
pub(crate) async fn stream_events(
    State(state): State<WebState>,
    ConnectInfo(connection): ConnectInfo<Carries>,
    Params(params): Params<EventParams>,
) -> Result<Response, Problem> {
    let filter = Filter::read(params)?;
    let subscriber = state.events.subscribe().await.map_err(refused)?;
    connection.a_stream();
    let stream = unfold((subscriber, filter), async |(mut subscriber, filter)| {
        loop {
            let message = match subscriber.next().await? {
                Ok(event) if filter.wants(&event) => message(&event),
                Ok(_) => continue,
                Err(missed) => lagged(missed),
            };
            return Some((Ok::<_, Infallible>(message), (subscriber, filter)));
        }
    });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    let events = Sse::new(stream).keep_alive(keep_alive);
    Ok(([NO_BUFFERING], events).into_response())
}

fn message(event: &LifecycleEvent) -> Event {
    let message = Event::default().event(event.occurrence().as_str());
    match message.json_data(event) {
        Ok(message) => message,
        Err(error) => {
            error!(%error, "an event could not be written");
            lagged(1)
        }
    }
}

fn lagged(missed: u64) -> Event {
    let data = json!({ "missed": missed }).to_string();
    Event::default().event(LAGGED).data(data)
}

fn refused(reason: NotSubscribed) -> Problem {
    match reason {
        NotSubscribed::TooMany => Problem::new(
            Kind::TooManyRequests,
            "as many clients subscribe to events as this server takes",
        )
        .hint("try again; web.max_event_subscribers is the limit"),
        NotSubscribed::Unavailable => Problem::new(
            Kind::Unavailable,
            "what happens to tasks cannot be followed at the moment",
        ),
    }
}

impl Filter {
    fn read(params: EventParams) -> Result<Self, Problem> {
        let task_uuid = params.task_uuid.as_deref().map(parse_task_uuid);
        let types = params.types.as_deref().map(|types| {
            let types = types.split(',').map(str::parse);
            types.collect::<Result<HashSet<Occurrence>, _>>()
        });
        Ok(Self {
            namespace: params.namespace,
            task_uuid: task_uuid.transpose()?,
            types: types
                .transpose()
                .map_err(|error| Problem::new(Kind::InvalidRequest, format!("types: {error}")))?,
        })
    }

    fn wants(&self, event: &LifecycleEvent) -> bool {
        let Self {
            namespace,
            task_uuid,
            types,
        } = self;
        namespace.as_ref().is_none_or(|one| *one == event.namespace)
            && task_uuid.is_none_or(|one| one == event.task_uuid)
            && types
                .as_ref()
                .is_none_or(|some| some.contains(&event.occurrence()))
    }
}
