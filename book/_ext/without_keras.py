"""The API page is made without Keras, whose import takes longer than the rest of the build.

`autodoc_mock_imports` alone does not do it: autodoc itself imports the module of a documented class's base.
"""

import sys

from sphinx.ext.autodoc.mock import MockFinder


def setup(app):
    sys.meta_path.insert(0, MockFinder(["keras", "tensorflow", "jax", "torch"]))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
