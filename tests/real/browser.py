"""Debian's Chromium without a window, driven by Playwright, on the dashboard."""

import shutil
from contextlib import contextmanager

from playwright.sync_api import sync_playwright

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 375, "height": 812}


@contextmanager
def chromium():
    """A browser; ends it."""
    path = shutil.which("chromium")
    assert path, "chromium is missing: apt-get install chromium"
    with sync_playwright() as playwright:
        # Tests run as root in containers, where Chromium's own sandbox does not start.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


class Page:
    """The dashboard in a tab of its own; collects what goes wrong in it."""

    def __init__(self, browser, url, viewport=DESKTOP, scheme="light"):
        self.context = browser.new_context(viewport=viewport, color_scheme=scheme, locale="en-GB")
        self.page = self.context.new_page()
        self.wrong = []
        self.asked = []
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.wrong.append(dialog.message), dialog.dismiss()))
        self.page.on("console", self._console)
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(url + "/")

    def _console(self, message):
        # The browser itself tells of answers that are errors, which tests bring about.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.wrong.append(message.text)

    def shows(self, selector, text=None, timeout=20_000):
        """Waits until an element with the text is seen."""
        found = self.page.locator(selector)
        if text is not None:
            found = found.filter(has_text=text)
        found.first.wait_for(state="visible", timeout=timeout)
        return found.first

    def text(self, selector):
        return self.page.inner_text(selector)

    def search(self, words, **filters):
        """Searches as a person does."""
        if filters and not self.page.locator("#filters").get_attribute("open"):
            self.page.locator("#filters").evaluate("it => { it.open = true }")
        for name, value in filters.items():
            field = self.page.locator(f"[name={name}]")
            field.select_option(value) if name in ("mode", "limit") else field.fill(value)
        self.page.fill("#query", words)
        self.page.press("#query", "Enter")
        # Not by a function in the page, which its policy forbids.
        self.page.locator("#results", has_text="Searching").wait_for(state="hidden")

    def results(self):
        return self.page.locator(".hit").count()

    def close(self):
        self.context.close()
        assert self.wrong == [], self.wrong
