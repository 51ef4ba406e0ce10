"""See whether the tests have what they need beside Python, before anything slow begins: `python3 tools/needs.py`.

They look at the site in Chromium and grade notebooks in bubblewrap, for which the kernel must let it make namespaces.
As root on Debian what is missing is installed; elsewhere one sentence says what to do. Runs on any Python from 3.8.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# As root Chromium refuses its sandbox, and its own background traffic would count as requests to other hosts.
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DOWNLOADED = ".cache/ms-playwright/chromium-*/chrome-linux*/chrome"
OLDEST_BUBBLEWRAP = (0, 8)
IN_NAMESPACES = ("bwrap", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev")
NAMES = {"chromium": "Chromium or Google Chrome", "bubblewrap": "bubblewrap 0.8 or newer"}


class Missing(Exception):
    """Something is not there; the sentence says what to install or to allow."""


def output(*command):
    """What a program prints; nothing where it cannot be run, or fails."""
    try:
        done = subprocess.run(command, check=True, timeout=600, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode(errors="replace")


def chromium():
    """Path of a Chromium that starts, or None."""
    found = [*filter(None, map(shutil.which, BROWSERS)), *map(str, Path.home().glob(DOWNLOADED))]
    # On Ubuntu a program of that name may only say that it is to be had as a snap.
    return next((path for path in found if output(path, "--version")), None)


def bubblewrap():
    """Path of a bubblewrap that is new enough, or None."""
    version = re.match(r"bubblewrap (\d+)\.(\d+)", output("bwrap", "--version"))
    new_enough = version and tuple(map(int, version.groups())) >= OLDEST_BUBBLEWRAP
    return shutil.which("bwrap") if new_enough else None


def absent(packages):
    find = {"chromium": chromium, "bubblewrap": bubblewrap}
    return [package for package in packages if not find[package]()]


def ensure(*packages):
    """Raise Missing unless all of these packages can be used, after installing them where that is allowed."""
    missing = absent(packages)
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        print("Installing", " and ".join(missing), "...", flush=True)
        output("apt-get", "update")
        output("apt-get", "install", "--yes", *missing)
        missing = absent(packages)
    if missing:
        raise Missing(
            "The tests need {}; install what is missing, as with `sudo apt install {}`.".format(
                " and ".join(NAMES[package] for package in missing), " ".join(missing)
            )
        )
    if "bubblewrap" in packages and not output(*IN_NAMESPACES, "echo", "yes"):
        raise Missing(
            "This system does not let bubblewrap make namespaces, which the tests need; allow it, on Ubuntu with "
            "`sudo sysctl --write kernel.apparmor_restrict_unprivileged_userns=0`, in Docker with `--privileged`."
        )


if __name__ == "__main__":
    try:
        ensure(*NAMES)
    except Missing as sentence:
        print(sentence, file=sys.stderr)
        sys.exit(2)
