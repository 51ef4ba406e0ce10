"""The repository's address is written once, in pyproject.toml; a fork's build on GitHub uses the fork's own."""

import os
import tomllib
from pathlib import Path
from urllib.parse import quote

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"

# Where a notebook of the repository runs without an installation.
PLACES = {
    "Colab": "https://colab.research.google.com/github/{repository}/blob/{branch}/{path}",
    "Binder": "https://mybinder.org/v2/gh/{repository}/{branch}?urlpath=lab/tree/{quoted}",
}


def address():
    """Return the repository's address: that of the repository GitHub builds, else the one in pyproject.toml."""
    if fork := os.environ.get("GITHUB_REPOSITORY"):
        return f"https://github.com/{fork}"
    return written()


def written():
    return tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]["urls"]["Repository"]


def site():
    """Return the site's address on GitHub Pages, which follows from the repository's."""
    owner, name = address().split("/")[-2:]
    host = f"{owner.lower()}.github.io"
    return f"https://{host}/" if name.lower() == host else f"https://{host}/{name}/"


def links_to_run(options, docname):
    """Links to a page's notebook in each of the places, as HTML, by the theme's options."""
    where = {"repository": address().removeprefix("https://github.com/"), "branch": options["repository_branch"]}
    path = f"{options['path_to_docs']}/{docname}.ipynb"
    addresses = {name: place.format(**where, path=path, quoted=quote(path, safe="")) for name, place in PLACES.items()}
    return [f'<a href="{target}">{name}</a>' for name, target in addresses.items()]


def configure(app, config):
    config.html_baseurl = site()
    config.html_theme_options["repository_url"] = address()


def fill_in(app, document, source):
    """Write the address where a page says `{{ repository }}`, code blocks included."""
    if "{{ repository }}" in source[0]:
        app.env.note_dependency(str(PYPROJECT))  # read the page again when the address has changed
        source[0] = source[0].replace("{{ repository }}", address())


def setup(app):
    app.connect("config-inited", configure)
    app.connect("source-read", fill_in)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
