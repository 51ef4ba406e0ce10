"""Every example in a docstring runs, and gives what it says."""

import doctest
import pkgutil
from importlib import import_module

import pytest

import coursekit

pytestmark = pytest.mark.keras

# The widgets' are run beside their other tests.
MODULES = [
    coursekit,
    *(
        import_module(module.name)
        for module in pkgutil.walk_packages(coursekit.__path__, "coursekit.")
        if not module.name.startswith("coursekit.widgets")
    ),
]
EXAMPLES = [test for module in MODULES for test in doctest.DocTestFinder(exclude_empty=True).find(module)]


@pytest.mark.only_on("tensorflow")  # they show how to call what is tested on both
@pytest.mark.parametrize("example", [test for test in EXAMPLES if test.examples], ids=lambda test: test.name)
def test_example(example, monkeypatch):
    for variable in ("COURSEKIT_PROFILE", "COURSEKIT_DATA", "COURSEKIT_RECORD", "COURSEKIT_RESUME"):
        monkeypatch.delenv(variable, raising=False)
    assert doctest.DocTestRunner().run(example).failed == 0
