"""The API page: it shows what a class is made with, leads to the source, annotated if it is, and takes little time.

Autodoc asks a class's ``__new__`` first, and Keras's takes anything.
"""

import functools
import importlib
import inspect
import os
from pathlib import Path

import annotated
from repository_address import PYPROJECT, address


def signature_of_init(app, what, name, obj, options, signature, returns):
    if what == "class" and "__init__" in vars(obj):
        _, *parameters = inspect.signature(obj.__init__).parameters.values()
        return str(inspect.Signature([one.replace(annotation=one.empty) for one in parameters])), returns
    if what == "class" and "*args" in (signature or ""):  # that of a library's class, for one that takes nothing
        return "()", returns


def source(domain, of):
    """The address of the lines that define a name, or None for what has none, a value for instance."""
    if place := annotated.address(of["module"], of["fullname"]):
        return place
    thing = functools.reduce(getattr, of["fullname"].split("."), importlib.import_module(of["module"]))
    try:
        lines, first = inspect.getsourcelines(inspect.unwrap(getattr(thing, "fget", thing)))
        path = Path(inspect.getsourcefile(inspect.unwrap(getattr(thing, "fget", thing))))
    except (OSError, TypeError):
        return None
    return f"{address()}/blob/main/{path.relative_to(PYPROJECT.parent)}#L{first}-L{first + len(lines) - 1}"


def setup(app):
    os.environ["KERAS_BACKEND"] = "numpy"  # which is imported in the shortest time
    app.connect("autodoc-process-signature", signature_of_init)
    app.connect("config-inited", lambda app, config: setattr(config, "linkcode_resolve", source))
    app.setup_extension("sphinx.ext.linkcode")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
