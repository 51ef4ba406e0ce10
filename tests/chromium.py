"""Find a Chromium for the browser tests; without one they fail, because a skipped check looks like a passed one."""

import shutil
import sys
from pathlib import Path

import debian

NAMES = ("chromium", "chromium-browser", "google-chrome")

# As root Chromium refuses its sandbox, and its own background traffic would count as requests to other hosts.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class NoChromium(Exception):
    """No browser is there, and none could be installed."""


def executable(playwright):
    """Path of a Chromium: one that is there, else playwright's download, else Debian's package."""
    if found := next(filter(None, map(shutil.which, NAMES)), None):
        return found
    downloaded = Path(playwright.chromium.executable_path)
    if downloaded.exists() or debian.succeeds([sys.executable, "-m", "playwright", "install", "chromium"]):
        return str(downloaded)
    if found := debian.program("chromium", *NAMES):
        return found
    raise NoChromium("The browser tests need Chromium: install it, as with `apt-get install chromium`, and run again.")
