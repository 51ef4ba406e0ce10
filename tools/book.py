"""Build the site strictly, as `jupyter-book build -W -n --keep-going` does: `python tools/book.py FOLDER`.

The command itself ends every failure in a traceback of its own, which pushes the cause off the screen.
"""

import shutil
import sys
from pathlib import Path

import search_index
import slides
from jupyter_book.sphinx import build_sphinx

ROOT = Path(__file__).parents[1]


def build(folder):
    """Build into `folder/_build/html`; returns the page to open, or exits after Sphinx has said what is wrong."""
    output = folder / "_build" / "html"
    problem = build_sphinx(
        ROOT / "book",
        output,
        path_config=ROOT / "_config.yml",
        noconfig=True,
        confoverrides={
            "external_toc_path": str(ROOT / "_toc.yml"),
            "latex_individualpages": False,
            "nitpicky": True,
        },
        warningiserror=True,
        keep_going=True,
        quiet=True,
    )
    if problem:
        # Pages that are in the cache would not warn again, and the next build would pass.
        shutil.rmtree(folder / "_build" / ".doctrees", ignore_errors=True)
        sys.exit("The site was not built; the lines above say why.")
    search_index.index(output)
    slides.make(output)
    return output / "index.html"


if __name__ == "__main__":
    print(f"The site is built: open {build(Path(sys.argv[1]).resolve())}.")
