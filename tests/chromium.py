"""Find a Chromium for the browser tests; without one they fail, because a skipped check looks like a passed one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

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


def _installed():
    return next(filter(None, map(shutil.which, NAMES)), None)


def _succeeds(*commands):
    return all(subprocess.run(command, capture_output=True, timeout=600).returncode == 0 for command in commands)


def executable(playwright):
    """Path of a Chromium: one that is there, else playwright's download, else Debian's package."""
    if found := _installed():
        return found
    downloaded = Path(playwright.chromium.executable_path)
    if downloaded.exists() or _succeeds([sys.executable, "-m", "playwright", "install", "chromium"]):
        return str(downloaded)
    may_install = shutil.which("apt-get") and os.geteuid() == 0
    if may_install and _succeeds(["apt-get", "update"], ["apt-get", "install", "-y", "chromium"]) and _installed():
        return _installed()
    raise NoChromium("The browser tests need Chromium: install it, as with `apt-get install chromium`, and run again.")
