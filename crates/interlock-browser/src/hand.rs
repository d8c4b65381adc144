//! Somebody at the keyboard, who has no mouse and whose browser runs no scripts.
//!
//! INVARIANT: what is typed into or pressed was reached by the Tab key, and could be seen to have the
//! focus. Places are found by their markup, never by their words, so that a flow is the same in every language.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::elements::Element;
use fantoccini::key::Key;
use fantoccini::{Client, Locator};

use crate::browser::Browser;

/// Most presses of Tab on the way to anything.
const TABS_MAX: usize = 150;
/// How often is looked whether the next page is there, and how long.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOKS_MAX: usize = 1_000;

/// A hand at a browser's keyboard.
pub(crate) struct Hand<'a> {
    browser: &'a Browser,
}

impl<'a> Hand<'a> {
    /// Takes the keyboard.
    pub(crate) const fn at(browser: &'a Browser) -> Self {
        Self { browser }
    }

    const fn client(&self) -> &Client {
        self.browser.client()
    }

    /// Types an address.
    pub(crate) async fn open(&self, url: &str) -> anyhow::Result<()> {
        self.client().goto(url).await?;
        Ok(())
    }

    /// What the page says below its navigation.
    pub(crate) async fn reads(&self) -> anyhow::Result<String> {
        Ok(self
            .client()
            .find(Locator::Css("main"))
            .await?
            .text()
            .await?)
    }

    /// The text of one place.
    pub(crate) async fn text(&self, css: &str) -> anyhow::Result<String> {
        Ok(self.find(css).await?.text().await?)
    }

    /// Whether there is such a place.
    pub(crate) async fn sees(&self, css: &str) -> anyhow::Result<bool> {
        Ok(!self.client().find_all(Locator::Css(css)).await?.is_empty())
    }

    /// Where the browser is.
    pub(crate) async fn path(&self) -> anyhow::Result<String> {
        Ok(self.client().current_url().await?.path().to_owned())
    }

    async fn find(&self, css: &str) -> anyhow::Result<Element> {
        match self.client().find(Locator::Css(css)).await {
            Ok(element) => Ok(element),
            Err(error) => {
                let here = self.client().current_url().await?;
                let says = self.reads().await.unwrap_or_default();
                Err(error).with_context(|| format!("`{css}` is not at {here}, which says: {says}"))
            }
        }
    }

    async fn key(&self, key: char) -> anyhow::Result<()> {
        let keys = KeyActions::new("keyboard".into())
            .then(KeyAction::Down { value: key })
            .then(KeyAction::Up { value: key });
        self.client().perform_actions(keys).await?;
        Ok(())
    }

    /// Tabs to a place.
    async fn reach(&self, css: &str) -> anyhow::Result<Element> {
        let wanted = self.find(css).await?;
        for _ in 0..TABS_MAX {
            let active = self.client().active_element().await?;
            if active.element_id() == wanted.element_id() {
                self.shows_focus(css, &active).await?;
                return Ok(active);
            }
            self.key(Key::Tab.into()).await?;
        }
        bail!("`{css}` cannot be reached by {TABS_MAX} presses of Tab");
    }

    async fn shows_focus(&self, css: &str, element: &Element) -> anyhow::Result<()> {
        let style = element.css_value("outline-style").await?;
        let width = element.css_value("outline-width").await?;
        if style == "none" || width == "0px" {
            bail!("`{css}` does not show that it has the focus");
        }
        Ok(())
    }

    /// Writes into a field, over what stands there.
    pub(crate) async fn write(&self, css: &str, text: &str) -> anyhow::Result<()> {
        let field = self.reach(css).await?;
        let all = format!("{}a{}", char::from(Key::Control), char::from(Key::Null));
        field.send_keys(&format!("{all}{text}")).await?;
        Ok(())
    }

    /// Chooses one of several with the arrow keys.
    pub(crate) async fn choose(&self, name: &str, value: &str) -> anyhow::Result<()> {
        for _ in 0..TABS_MAX {
            let active = self.client().active_element().await?;
            if active.attr("name").await?.as_deref() == Some(name) {
                return self.arrows(name, value).await;
            }
            self.key(Key::Tab.into()).await?;
        }
        bail!("`{name}` cannot be reached by {TABS_MAX} presses of Tab");
    }

    async fn arrows(&self, name: &str, value: &str) -> anyhow::Result<()> {
        self.key(' ').await?;
        for _ in 0..TABS_MAX {
            let active = self.client().active_element().await?;
            if active.attr("value").await?.as_deref() == Some(value) {
                return Ok(());
            }
            self.key(Key::Down.into()).await?;
        }
        bail!("`{name}` has no `{value}`");
    }

    /// Chooses one of a closed list with the arrow keys.
    pub(crate) async fn select(&self, css: &str, value: &str) -> anyhow::Result<()> {
        let list = self.reach(css).await?;
        self.key(Key::Home.into()).await?;
        for _ in 0..TABS_MAX {
            if list.prop("value").await?.as_deref() == Some(value) {
                return Ok(());
            }
            self.key(Key::Down.into()).await?;
        }
        bail!("`{css}` has no `{value}`");
    }

    /// Ticks a box with the space bar.
    pub(crate) async fn tick(&self, css: &str) -> anyhow::Result<()> {
        let ticked = self.reach(css).await?;
        self.key(' ').await?;
        match ticked.is_selected().await? {
            true => Ok(()),
            false => bail!("`{css}` is not ticked"),
        }
    }

    /// The name of the field that has the focus.
    pub(crate) async fn focused(&self) -> anyhow::Result<String> {
        let active = self.client().active_element().await?;
        Ok(active.attr("name").await?.unwrap_or_default())
    }

    /// What a scanner does: types where the focus is, then Enter; waits for the page that follows.
    pub(crate) async fn scan(&self, text: &str) -> anyhow::Result<()> {
        let field = self.client().active_element().await?;
        field.send_keys(text).await?;
        self.key(Key::Enter.into()).await?;
        self.leaves(&field, "what has the focus").await
    }

    /// Presses Enter where the focus is, and waits for the page that it leads to.
    pub(crate) async fn go_on(&self) -> anyhow::Result<()> {
        self.scan("").await
    }

    /// An attribute of one place.
    pub(crate) async fn attribute(&self, css: &str, name: &str) -> anyhow::Result<String> {
        let value = self.find(css).await?.attr(name).await?;
        value.with_context(|| format!("`{css}` has no `{name}`"))
    }

    /// The texts of all such places.
    pub(crate) async fn texts(&self, css: &str) -> anyhow::Result<Vec<String>> {
        let mut texts = Vec::new();
        for place in self.client().find_all(Locator::Css(css)).await? {
            texts.push(place.text().await?);
        }
        Ok(texts)
    }

    /// How many such places there are.
    pub(crate) async fn count(&self, css: &str) -> anyhow::Result<usize> {
        Ok(self.client().find_all(Locator::Css(css)).await?.len())
    }

    /// Presses Enter on a link that leads to a file, and waits until the file is in `place`; its text.
    pub(crate) async fn download(&self, css: &str, place: &Path) -> anyhow::Result<String> {
        self.browser.downloads(place).await?;
        self.reach(css).await?;
        self.key(Key::Enter.into()).await?;
        for _ in 0..LOOKS_MAX {
            for file in std::fs::read_dir(place)? {
                let path = file?.path();
                if path.extension().is_some_and(|kind| kind == "csv") {
                    return Ok(std::fs::read_to_string(path)?);
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        bail!("pressing `{css}` brought no file");
    }

    /// Opens what is folded.
    pub(crate) async fn unfold(&self, css: &str) -> anyhow::Result<()> {
        self.reach(css).await?;
        self.key(Key::Enter.into()).await
    }

    /// Presses Enter on a link or button, and waits for the page that it leads to.
    pub(crate) async fn press(&self, css: &str) -> anyhow::Result<()> {
        let pressed = self.reach(css).await?;
        self.key(Key::Enter.into()).await?;
        self.leaves(&pressed, css).await
    }

    async fn leaves(&self, pressed: &Element, css: &str) -> anyhow::Result<()> {
        for _ in 0..LOOKS_MAX {
            // Of a page that has gone nothing can be asked any more.
            if pressed.tag_name().await.is_err() {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        bail!("pressing `{css}` led nowhere");
    }
}
