//! The template, or search path, that was probably meant where one is not found.
//!
//! The database names those there are in the detail of its refusal; which of them is near
//! is found out here, for every surface alike.

use crate::template::fields::nearest;

/// How the refusal of an unknown template begins, and that of an unknown search path.
const UNKNOWN: &str = "there is no template ";
const UNKNOWN_PATH: &str = "there is no search path ";
/// How its detail begins.
const KNOWN: &str = "there are ";

/// A hint with the template that was meant, before the hint of the database.
pub(super) fn hint(message: &str, detail: Option<&str>, hint: Option<&str>) -> Option<String> {
    let meant = |unknown: &str| {
        let wanted = message.strip_prefix(unknown)?;
        let wanted = wanted.split(" in templates ").next()?;
        let known = detail?.strip_prefix(KNOWN)?;
        nearest(wanted, known.split(", "))
    };
    if let Some(meant) = meant(UNKNOWN) {
        let list = "`tasker template list` shows what there is";
        return Some(format!("did you mean `{meant}`? {list}"));
    }
    let meant = meant(UNKNOWN_PATH).map(|meant| format!("did you mean `{meant}`? "));
    hint.map(|hint| meant.unwrap_or_default() + hint)
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
        let known = Some("there are order_id, customer.email");
        let message = "there is no search path orderid in templates shop/*";
        assert_eq!(
            hint(message, known, Some("there are two")).unwrap(),
            "did you mean `order_id`? there are two"
        );
        assert_eq!(hint("another refusal", None, None), None);
    }
}
