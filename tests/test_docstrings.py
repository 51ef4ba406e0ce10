"""Every example in a docstring runs, and every public function says what its parameters are."""

import doctest
import inspect
import pkgutil
import re
from importlib import import_module

import pytest
from conftest import ROOT

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


# The modules of the API page, whose functions anybody may call.
PAGE = (ROOT / "book" / "api.md").read_text("utf-8")
DOCUMENTED = [import_module(name) for name in re.findall(r"automodule:: (coursekit\.\w+)", PAGE)]


def public():
    """Yield functions, classes, and the methods of classes that are not Keras's, with their full names."""
    for module in DOCUMENTED:
        for name in getattr(module, "__all__", vars(module)):
            thing = vars(module)[name]
            if name.startswith("_") or not getattr(thing, "__module__", "").startswith(module.__name__):
                continue
            if inspect.isfunction(thing) or inspect.isclass(thing):
                yield pytest.param(thing, id=f"{module.__name__}.{name}")
            for method, function in vars(thing).items() if inspect.isclass(thing) else ():
                inherited = any(hasattr(base, method) for base in thing.__mro__[1:])
                if inspect.isfunction(function) and not method.startswith("_") and not inherited:
                    yield pytest.param(function, id=f"{module.__name__}.{name}.{method}")


def described(docstring):
    """The parameters that the section Args names."""
    section = re.search(r"^Args:\n((?:(?: .*)?\n)*)", docstring + "\n", re.MULTILINE)
    entries = re.findall(r"^    (\w[\w, ]*):", section[1], re.MULTILINE) if section else []
    return {name for entry in entries for name in entry.split(", ")}


@pytest.mark.only_on("tensorflow")  # they are the same texts
@pytest.mark.parametrize("thing", public())
def test_parameters_are_described(thing):
    docstring = inspect.getdoc(thing) or ""
    if inspect.isclass(thing) and issubclass(thing, BaseException):
        assert docstring
        return
    parameters = [name for name in inspect.signature(thing).parameters if name not in ("self", "args", "kwargs")]
    assert described(docstring) >= set(parameters)
    sections = re.findall(r"^(Args|Returns|Raises):$", docstring, re.MULTILINE)
    assert docstring and sections == sorted(sections, key=["Args", "Returns", "Raises"].index)


def test_a_parameter_that_is_not_described_is_seen():
    assert described(
        "What it does.\n\nArgs:\n    x, y: floats: two.\n        more: of it.\n\nReturns:\n    z: one."
    ) == {"x", "y"}
