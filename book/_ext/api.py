"""The API page: it shows what a class is made with, and takes little time.

Autodoc asks a class's ``__new__`` first, and Keras's takes anything.
"""

import inspect
import os


def signature_of_init(app, what, name, obj, options, signature, returns):
    if what == "class" and "__init__" in vars(obj):
        _, *parameters = inspect.signature(obj.__init__).parameters.values()
        return str(inspect.Signature([one.replace(annotation=one.empty) for one in parameters])), returns


def setup(app):
    os.environ["KERAS_BACKEND"] = "numpy"  # which is imported in the shortest time
    app.connect("autodoc-process-signature", signature_of_init)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
