//! Pages that fetch themselves again: those of the same moment are answered with one, and different ones
//! are drawn one after the other.
//!
//! Whatever many screens show costs what one costs, because a page is the same for every viewer, and all
//! that watch take a bounded part of the database from those who work.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::response::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use tokio::sync::{Mutex as AsyncMutex, OnceCell};
use tokio::time::{Instant, sleep_until};

use crate::problem::{Kind, Problem};

/// The header of a page that fetches itself again.
const LIVE: &str = "x-tasker-live";

/// How old an answer may be that a page is given.
const MAX_AGE: Duration = Duration::from_millis(900);

/// Most pages that are kept or wait for their turn; more are refused.
const MOST_PAGES: usize = 1000;

/// After a page none is drawn for this many times as long, so that watching never takes more than a fifth
/// of what one connection can ask of the database.
const REST: u32 = 4;

/// Answers of this moment; clones share them.
#[derive(Clone, Default)]
pub(crate) struct SharedPages {
    pages: Arc<Mutex<HashMap<String, Arc<Answer>>>>,
    /// When the next page may be drawn; held while one is.
    turn: Arc<AsyncMutex<Option<Instant>>>,
}

/// What all who asked for one page at one mark are given.
type Answer = OnceCell<(Instant, Parts, Bytes)>;

impl SharedPages {
    /// The place of this page's answer, which may have to be filled.
    fn place(&self, page: &str) -> Option<Arc<Answer>> {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        pages.retain(|_, answer| match answer.get() {
            Some((drawn_at, ..)) => drawn_at.elapsed() < MAX_AGE,
            None => Arc::strong_count(answer) > 1,
        });
        if let Some(answer) = pages.get(page) {
            return Some(Arc::clone(answer));
        }
        if pages.len() >= MOST_PAGES {
            return None;
        }
        let answer = Arc::<Answer>::default();
        pages.insert(page.to_owned(), Arc::clone(&answer));
        Some(answer)
    }

    /// Draws a page when it is its turn. One that is given up leaves its turn to the next.
    async fn draw(&self, request: Request, next: Next) -> Result<(Instant, Parts, Bytes), Problem> {
        let mut turn = self.turn.lock().await;
        if let Some(next_turn) = *turn {
            sleep_until(next_turn).await;
        }
        let started = Instant::now();
        let (parts, body) = next.run(request).await.into_parts();
        let body = body.collect().await.map_err(Problem::internal)?;
        *turn = Some(Instant::now() + started.elapsed() * REST);
        Ok((Instant::now(), parts, body.to_bytes()))
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
    let Some(place) = shared.place(&page) else {
        let detail = "as many pages are kept current as this server takes";
        return Problem::new(Kind::TooManyRequests, detail).into_response();
    };
    // A request that is given up before its answer leaves the place to the next that waits for it.
    match place
        .get_or_try_init(async || shared.draw(request, next).await)
        .await
    {
        Ok((_, parts, body)) => Response::from_parts(parts.clone(), Body::from(body.clone())),
        Err(problem) => problem.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use axum::Router;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use futures::future::join_all;
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
    async fn different_pages_are_drawn_one_after_the_other_with_pauses() {
        let page = counting_page();
        let started = Instant::now();

        tokio::join!(
            text(&page, "/page?of=1", true),
            text(&page, "/page?of=2", true)
        );
        assert!(started.elapsed() >= Duration::from_millis(10 + 40 + 10));
        let started = Instant::now();
        text(&page, "/page", false).await;
        assert!(
            started.elapsed() < Duration::from_millis(40),
            "it is no live page"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_for_a_page_that_waits_for_its_turn_waits_with_it() {
        let page = counting_page();
        let before =
            join_all((0..30).map(async |n| text(&page, &format!("/page?of={n}"), true).await));
        let last = async || text(&page, "/page?of=last", true).await;
        let later = async || {
            sleep(MAX_AGE).await;
            last().await
        };

        let (_, first, second) = tokio::join!(before, last(), later());
        assert_eq!(first, second);
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
