//! Pages that fetch themselves again at the same moment, answered with one.
//!
//! Whatever many screens show costs what one costs: a page is the same for every viewer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::response::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::problem::Problem;

/// The header of a page that fetches itself again.
const LIVE: &str = "x-tasker-live";

/// How old an answer may be that a page is given.
const MAX_AGE: Duration = Duration::from_millis(900);

/// Most answers that are kept; further pages are drawn each by itself.
const MOST_PAGES: usize = 100;

/// An answer, which may have to be made.
type Answer = Arc<OnceCell<(Parts, Bytes)>>;

/// Answers of this moment, with when they were asked for; clones share them.
#[derive(Clone, Default)]
pub(crate) struct SharedPages {
    pages: Arc<Mutex<HashMap<String, (Instant, Answer)>>>,
}

impl SharedPages {
    /// The place of this page's answer; nothing where too many are kept.
    fn place(&self, page: String) -> Option<Answer> {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        pages.retain(|_, (since, _)| since.elapsed() < MAX_AGE);
        if pages.len() >= MOST_PAGES && !pages.contains_key(&page) {
            return None;
        }
        let kept = pages.entry(page);
        let (_, answer) = kept.or_insert_with(|| (Instant::now(), Answer::default()));
        Some(Arc::clone(answer))
    }
}

/// Answers a page that fetches itself again with what another was just given.
pub(crate) async fn share(
    State(shared): State<SharedPages>,
    request: Request,
    next: Next,
) -> Response {
    let Some(mark) = request.headers().get(LIVE) else {
        return next.run(request).await;
    };
    // An answer from before the change that the page heard of would leave it as it is.
    let page = format!("{} {mark:?}", request.uri());
    let Some(place) = shared.place(page) else {
        return next.run(request).await;
    };
    // A request that is given up before its answer leaves the place to the next that waits for it.
    let answer = place
        .get_or_try_init(async || {
            let (parts, body) = next.run(request).await.into_parts();
            let body = body.collect().await.map_err(Problem::internal)?;
            Ok::<_, Problem>((parts, body.to_bytes()))
        })
        .await;
    match answer {
        Ok((parts, body)) => Response::from_parts(parts.clone(), Body::from(body.clone())),
        Err(problem) => problem.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use axum::Router;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use tokio::time::{advance, sleep};
    use tower::ServiceExt;

    use super::*;

    /// A page that shows how often it was drawn, and takes a moment to be.
    fn counting_page() -> Router {
        static DRAWN: AtomicU32 = AtomicU32::new(0);
        let draw = async || {
            sleep(Duration::from_millis(10)).await;
            DRAWN.fetch_add(1, Relaxed).to_string()
        };
        Router::new()
            .route("/page", get(draw))
            .layer(from_fn_with_state(SharedPages::default(), share))
    }

    async fn text(page: &Router, address: &str, is_live: bool) -> String {
        let mut request = Request::get(address);
        if is_live {
            request = request.header(LIVE, "1");
        }
        let request = request.body(Body::empty()).unwrap();
        let response = page.clone().oneshot(request).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8_lossy(&body).into_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn pages_that_fetch_themselves_together_are_drawn_once() {
        let page = counting_page();

        let (first, second) = tokio::join!(text(&page, "/page", true), text(&page, "/page", true));
        assert_eq!(first, second);
        assert_ne!(text(&page, "/page?state=error", true).await, first);
        assert_ne!(text(&page, "/page", false).await, first);

        advance(MAX_AGE).await;
        assert_ne!(text(&page, "/page", true).await, first);
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_whose_viewer_left_is_drawn_for_the_next() {
        let page = counting_page();

        let left = tokio::time::timeout(Duration::from_millis(1), text(&page, "/page", true));
        let (left, answer) = tokio::join!(left, text(&page, "/page", true));

        assert!(left.is_err());
        assert_ne!(answer, "");
    }
}
