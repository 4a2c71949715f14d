//! What a person does on a page: clicks, types, presses keys.

use serde_json::{Value, json};
use tasker_testing::{WAIT_TIMEOUT, wait_until};

use crate::page::Page;

const FIND: &str = include_str!("find.js");

/// A kind of control.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Button,
    Checkbox,
    Field,
    Heading,
    Link,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Button => "button",
            Self::Checkbox => "checkbox",
            Self::Field => "field",
            Self::Heading => "heading",
            Self::Link => "link",
        }
    }
}

impl Page {
    /// Whether there is such a control.
    pub(crate) async fn has(&mut self, kind: Kind, name: &str) -> bool {
        let found = format!("({FIND})({}, {}) !== null", json!(kind.name()), json!(name));
        self.evaluate(&found).await == true
    }

    /// Waits until there is such a control.
    pub(crate) async fn wait_for(&mut self, kind: Kind, name: &str) {
        self.control(kind, name, "return true;").await;
    }

    /// Loads the page again until there is such a control, as a person does whose browser runs no script.
    pub(crate) async fn reload_until(&mut self, kind: Kind, name: &str) {
        let address = self.address().await;
        let what = format!("{address} shows the {} {name:?}", kind.name());
        wait_until(&what, WAIT_TIMEOUT, async || {
            self.open(&address).await;
            self.has(kind, name).await
        })
        .await;
    }

    /// Clicks on it, once it is there and nothing covers it.
    pub(crate) async fn click(&mut self, kind: Kind, name: &str) {
        let place = self.control(
            kind,
            name,
            "element.scrollIntoView({ block: 'center' });
             const box = [...element.getClientRects()].find((box) => box.width > 0);
             if (!box) return null;
             const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
             const hit = document.elementFromPoint(x, y);
             return element.contains(hit) || hit?.contains(element) ? { x, y } : null;",
        );
        let place = place.await;
        for (what, buttons) in [("mousePressed", 1), ("mouseReleased", 0)] {
            let event = json!({"type": what, "x": place["x"], "y": place["y"], "button": "left",
                               "buttons": buttons, "clickCount": 1});
            self.command("Input.dispatchMouseEvent", event).await;
        }
    }

    /// Types into a field, in place of what is there.
    pub(crate) async fn fill(&mut self, field: &str, text: &str) {
        self.control(
            Kind::Field,
            field,
            "element.focus(); element.select?.(); return true;",
        )
        .await;
        if text.is_empty() {
            self.press("Delete").await;
        } else {
            self.type_text(text).await;
        }
    }

    /// Chooses an option, by its text or its value.
    pub(crate) async fn choose(&mut self, field: &str, option: &str) {
        let chosen = format!(
            "const option = [...element.options].find((one) => [one.text.trim(), one.value].includes({}));
             if (!option) return null;
             element.value = option.value;
             element.dispatchEvent(new Event('change', {{ bubbles: true }}));
             return true;",
            json!(option)
        );
        self.control(Kind::Field, field, &chosen).await;
    }

    /// Types where the focus is.
    pub(crate) async fn type_text(&mut self, text: &str) {
        self.command("Input.insertText", json!({ "text": text }))
            .await;
    }

    /// Presses a key: a character, or the name of a key.
    pub(crate) async fn press(&mut self, key: &str) {
        let text = match key {
            "Enter" => Some("\r"),
            _ if key.chars().count() == 1 => Some(key),
            _ => None,
        };
        let code = match key {
            "Enter" => 13,
            "Escape" => 27,
            "Delete" => 46,
            "Tab" => 9,
            _ => 0,
        };
        for what in ["keyDown", "keyUp"] {
            let mut event = json!({"type": what, "key": key, "windowsVirtualKeyCode": code});
            if let Some(text) = text.filter(|_| what == "keyDown") {
                event["text"] = json!(text);
            }
            self.command("Input.dispatchKeyEvent", event).await;
        }
    }

    /// Waits for a control, and for what this body says of `element`.
    async fn control(&mut self, kind: Kind, name: &str, body: &str) -> Value {
        let act = format!(
            "(() => {{ const element = ({FIND})({}, {}); if (element === null) return null; {body} }})()",
            json!(kind.name()),
            json!(name)
        );
        let what = format!("the {} {name:?} can be used", kind.name());
        self.wait(&what, &act).await
    }
}
