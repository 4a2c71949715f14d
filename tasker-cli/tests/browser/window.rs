//! The window that a page is shown in, and pictures of it.

use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use crate::page::Page;

/// Width and height of the window, in pixels.
pub(crate) const WIDE: (u32, u32) = (1400, 1000);
pub(crate) const NARROW: (u32, u32) = (390, 844);

impl Page {
    pub(crate) async fn resize(&mut self, (width, height): (u32, u32)) {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.command("Emulation.setDeviceMetricsOverride", size)
            .await;
    }

    /// `light` or `dark`.
    pub(crate) async fn prefer(&mut self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.command(
            "Emulation.setEmulatedMedia",
            json!({ "features": features }),
        )
        .await;
    }

    /// The viewer is in this zone.
    pub(crate) async fn be_in_zone(&mut self, zone: &str) {
        self.command("Emulation.setTimezoneOverride", json!({"timezoneId": zone}))
            .await;
    }

    /// From the next page on no script of the server's runs; this test's own still do.
    pub(crate) async fn forbid_scripts(&mut self) {
        self.command(
            "Emulation.setScriptExecutionDisabled",
            json!({"value": true}),
        )
        .await;
    }

    /// Takes a picture of the page, from its top to its end, as far as that can be looked at.
    pub(crate) async fn picture(&mut self, file: &Path) {
        let height = self
            .evaluate("Math.min(Math.ceil(document.documentElement.scrollHeight), 6000)")
            .await;
        let width = self.evaluate("innerWidth").await;
        let clip = json!({"x": 0, "y": 0, "width": width, "height": height, "scale": 1});
        let what = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let picture = self.command("Page.captureScreenshot", what).await;
        std::fs::write(
            file,
            BASE64_STANDARD
                .decode(picture["data"].as_str().unwrap())
                .unwrap(),
        )
        .unwrap();
    }
}
