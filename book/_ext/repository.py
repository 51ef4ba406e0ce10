"""The repository's address is written once, in pyproject.toml; a fork's build on GitHub uses the fork's own."""

import os
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def address():
    """Return the repository's address: that of the repository GitHub builds, else the one in pyproject.toml."""
    if fork := os.environ.get("GITHUB_REPOSITORY"):
        return f"https://github.com/{fork}"
    return tomllib.loads(PYPROJECT.read_text())["project"]["urls"]["Repository"]


def configure(app, config):
    repository = address()
    config.html_theme_options["repository_url"] = repository
    config.myst_substitutions["repository"] = repository


def setup(app):
    app.connect("config-inited", configure)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
