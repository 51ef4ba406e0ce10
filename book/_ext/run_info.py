"""At a chapter's end: how long its run took, where, with which versions, and when."""

import json

from docutils import nodes


def sentence(run):
    """Say in a line what `tools/notebooks.py` wrote into the notebook's metadata."""
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    return f"Runs in about {run['seconds']} s on {run['device']} · {versions} · recorded on {run['date']}"


def add_run_info(app, doctree):
    written = app.env.metadata[app.env.docname].get("coursekit")
    if written:
        run = json.loads(written)
        title = next(iter(doctree.findall(nodes.title)))
        title.parent.append(nodes.paragraph("", sentence(run), classes=["run-info"]))


def setup(app):
    app.connect("doctree-read", add_run_info)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
