//! What the tasks of a template can be found by: `search: [order_id, customer.email]`.

use super::error::{Mistakes, Path, shortened};
use super::fields::{list, text};
use super::node::Node;
use crate::tasks::is_search_path;

/// Paths of one template at most.
pub(super) const MAX_PATHS: usize = 16;

/// How much of a wrong path a message quotes, in characters.
const MAX_QUOTED: usize = 80;

/// How paths are written.
const HINT: &str = "join keys of 1 to 64 characters by dots, without spaces, =, <, >, ^, !, ~: \
    customer.email";

/// Paths into the context, in the order of the document.
pub(super) fn read(node: &Node, path: &Path<'_>, mistakes: &mut Mistakes) -> Vec<String> {
    let nodes = list(node, path, mistakes).unwrap_or_default();
    if let Some(beyond) = nodes.get(MAX_PATHS) {
        let message = format!("{} paths; at most {MAX_PATHS} are accepted", nodes.len());
        mistakes.add(beyond.place, path, message);
        return Vec::new();
    }
    let mut paths: Vec<String> = Vec::with_capacity(nodes.len());
    for (index, node) in nodes.iter().enumerate() {
        let path = &path.index(index);
        let Some(found) = text(node, path, mistakes) else {
            continue;
        };
        if !is_search_path(found) {
            let quoted = shortened(found, MAX_QUOTED);
            let message = format!("`{quoted}` is no path into the context");
            mistakes.add_with_hint(node.place, path, message, || Some(HINT.to_owned()));
        } else if paths.iter().any(|known| known == found) {
            mistakes.add(node.place, path, format!("`{found}` is named twice"));
        } else {
            paths.push(found.to_owned());
        }
    }
    paths
}
