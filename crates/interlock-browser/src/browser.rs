//! One browser: where it is, how it looks, what it said.
//!
//! INVARIANT: it has a profile of its own that no other run sees, and reaches nothing but loopback.
//! It knows no page.

use std::path::Path;

use anyhow::Context;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Map, Value, json};
use url::{ParseError, Url};

use crate::driver::Driver;

/// How a page is asked for and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// What the browser says that its reader reads.
    pub(crate) language: Language,
    /// Pixels across.
    pub(crate) width: u32,
    /// Colours.
    pub(crate) dark: bool,
}

/// A language of the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    English,
    Chinese,
}

impl Language {
    /// BCP 47.
    pub(crate) const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-CN",
        }
    }
}

/// Height of the window, in pixels.
const HEIGHT: u32 = 900;

/// A browser with one window.
pub(crate) struct Browser {
    client: Client,
}

/// Commands of Chromium's driver beside those of WebDriver.
#[derive(Debug)]
enum Vendor {
    /// A command of the DevTools protocol.
    DevTools(&'static str, Value),
    /// What the console said since it was asked last.
    Console,
}

impl WebDriverCompatibleCommand for Vendor {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        let session = base.join(&format!("session/{}/", session.unwrap_or_default()))?;
        match self {
            Self::DevTools(..) => session.join("goog/cdp/execute"),
            Self::Console => session.join("se/log"),
        }
    }

    fn method_and_body(&self, _: &Url) -> (http::Method, Option<String>) {
        match self {
            Self::DevTools(name, params) => {
                let body = json!({ "cmd": name, "params": params });
                (http::Method::POST, Some(body.to_string()))
            }
            Self::Console => (
                http::Method::POST,
                Some(json!({ "type": "browser" }).to_string()),
            ),
        }
    }
}

impl Browser {
    /// Starts one; with `scripts` off, no page may run any.
    pub(crate) async fn start(driver: &Driver, scripts: bool) -> anyhow::Result<Self> {
        // Of Chromium's settings for all sites: 1 allows scripts, 2 blocks them.
        let scripts = if scripts { 1 } else { 2 };
        let options = json!({
            // A container has no sandbox of its own to nest in; every page is ours.
            "args": [
                "--headless=new",
                "--no-sandbox",
                "--disable-dev-shm-usage",
                "--force-device-scale-factor=1",
                "--hide-scrollbars",
            ],
            "prefs": { "profile.managed_default_content_settings.javascript": scripts },
        });
        let mut capabilities = Map::new();
        capabilities.insert("goog:chromeOptions".into(), options);
        capabilities.insert("goog:loggingPrefs".into(), json!({ "browser": "ALL" }));
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&driver.url)
            .await
            .context("failed to start a browser; is Debian's `chromium` installed?")?;
        let browser = Self { client };
        browser.devtools("Network.enable", json!({})).await?;
        Ok(browser)
    }

    /// WebDriver itself.
    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    /// Asks for and shows pages so from now on.
    pub(crate) async fn look(&self, look: Look) -> anyhow::Result<()> {
        let headers = json!({ "headers": { "Accept-Language": look.language.tag() } });
        self.devtools("Network.setExtraHTTPHeaders", headers)
            .await?;
        let size = json!({
            "width": look.width, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": false,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", size)
            .await?;
        let scheme = if look.dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", media).await?;
        Ok(())
    }

    /// Leaves files that are downloaded from now on in `place`.
    pub(crate) async fn downloads(&self, place: &Path) -> anyhow::Result<()> {
        let params = json!({ "behavior": "allow", "downloadPath": place });
        self.devtools("Browser.setDownloadBehavior", params).await?;
        Ok(())
    }

    /// The whole page as PNG in base64, however long it is.
    pub(crate) async fn picture(&self) -> anyhow::Result<String> {
        let params = json!({ "format": "png", "captureBeyondViewport": true });
        let answer = self.devtools("Page.captureScreenshot", params).await?;
        let data = answer.get("data").and_then(Value::as_str);
        Ok(data.context("the browser took no picture")?.to_owned())
    }

    /// What the console said since it was asked last.
    pub(crate) async fn console(&self) -> anyhow::Result<Vec<String>> {
        let said = self.client.issue_cmd(Vendor::Console).await?;
        let said = said.as_array().cloned().unwrap_or_default();
        Ok(said
            .iter()
            .filter_map(|entry| entry.get("message")?.as_str().map(str::to_owned))
            .collect())
    }

    async fn devtools(&self, name: &'static str, params: Value) -> anyhow::Result<Value> {
        let answer = self.client.issue_cmd(Vendor::DevTools(name, params)).await;
        answer.with_context(|| format!("the browser refused `{name}`"))
    }

    /// Ends it.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        self.client
            .close()
            .await
            .context("failed to close the browser")
    }
}
