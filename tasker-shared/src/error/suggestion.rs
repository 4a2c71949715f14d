//! The template that was probably meant where one is not found.
//!
//! The database names the templates there are in the detail of its refusal; which of them is near
//! is found out here, for every surface alike.

use crate::template::fields::nearest;

/// How the refusal of an unknown template begins.
const UNKNOWN: &str = "there is no template ";
/// How its detail begins.
const KNOWN: &str = "there are ";

/// A hint with the template that was meant, before the hint of the database.
pub(super) fn hint(message: &str, detail: Option<&str>, hint: Option<&str>) -> Option<String> {
    let meant = || {
        let wanted = message.strip_prefix(UNKNOWN)?;
        let known = detail?.strip_prefix(KNOWN)?;
        nearest(wanted, known.split(", "))
    };
    match (meant(), hint) {
        (Some(meant), _) => Some(format!(
            "did you mean `{meant}`? `tasker template list` shows what there is"
        )),
        (None, hint) => hint.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_that_was_meant_goes_before_all_that_there_are() {
        let refused = |wanted: &str| {
            let message = format!("there is no template {wanted}");
            let known = Some("there are shop/order, shop/refund");
            hint(&message, known, Some("apply it")).unwrap()
        };
        assert!(refused("shop/ordre").starts_with("did you mean `shop/order`?"));
        assert!(refused("shp/refund").starts_with("did you mean `shop/refund`?"));
        assert_eq!(refused("shop/greeting"), "apply it");
        assert_eq!(hint("another refusal", None, None), None);
    }
}
