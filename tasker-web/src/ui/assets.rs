//! Files that pages refer to, compiled in.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use crate::problem::{Kind, Problem};

const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Name, media type and content. `idiomorph.js` is version 0.8.0 of that library, unchanged; its licence
/// (0BSD) asks for nothing.
const FILES: [(&str, &str, &str); 4] = [
    ("style.css", CSS, include_str!("assets/style.css")),
    ("ui.js", SCRIPT, include_str!("assets/ui.js")),
    ("idiomorph.js", SCRIPT, include_str!("assets/idiomorph.js")),
    ("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
];

/// Digits of the files' common hash: a build that changes one of them gives all another address, so
/// that browsers may keep them.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = DefaultHasher::new();
    FILES.hash(&mut hasher);
    format!("{:x}", hasher.finish())
});

/// The address of a file.
pub(crate) fn address(file: &str) -> String {
    format!("/ui/assets/{}/{file}", *VERSION)
}

/// Answers a file. One of another version is answered as it is now, and not kept.
pub(crate) async fn asset(
    Path((version, file)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let known = FILES.iter().find(|(name, _, _)| *name == file);
    let Some((_, media_type, content)) = known else {
        let detail = format!("there is no file {file}");
        return Err(Problem::new(Kind::NotFound, detail));
    };
    let caching = if version == *VERSION {
        "public, max-age=31536000, immutable"
    } else {
        "no-store"
    };
    Ok((
        [(CONTENT_TYPE, *media_type), (CACHE_CONTROL, caching)],
        *content,
    )
        .into_response())
}
