"""Every example in a docstring runs and gives what it says, and every parameter is explained."""

import doctest
import inspect
import pkgutil
from importlib import import_module

import pytest
from keras import layers

import coursekit
from coursekit.receptive_field import Span, Traced

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


def test_every_module_is_there_on_demand():
    for name in coursekit._SUBMODULES:
        assert getattr(coursekit, name) is import_module(f"coursekit.{name}") and name in dir(coursekit)


EXAMPLES = [test for module in MODULES for test in doctest.DocTestFinder(exclude_empty=True).find(module)]


@pytest.mark.only_on("tensorflow")  # they show how to call what is tested on both
@pytest.mark.parametrize("example", [test for test in EXAMPLES if test.examples], ids=lambda test: test.name)
def test_example(example, monkeypatch):
    for variable in ("COURSEKIT_PROFILE", "COURSEKIT_DATA", "COURSEKIT_RECORD", "COURSEKIT_RESUME"):
        monkeypatch.delenv(variable, raising=False)
    # As if the reader had imported what the rules' examples are made of.
    example.globs = {"layers": layers, "Traced": Traced, "Span": Span} | example.globs
    assert doctest.DocTestRunner().run(example).failed == 0


# Modules that readers call, and whose docstrings their tools show.
FOR_READERS = (
    "runtime transfer normalization gan metrics inception resnet efficientnet pretrained cost cost_rules "
    "multiplications receptive_field data training experiments gradients claims cards plots records require exercises "
    "exercises.question"
)
ORDER = {"Args:": 0, "Returns:": 1, "Yields:": 1, "Raises:": 2}


def is_function(value):
    return inspect.isfunction(inspect.unwrap(value))


def public(values, module):
    """What is made in a module and public, functions and classes, by the name that it has there."""
    return {
        name: value
        for name, value in values.items()
        if not name.startswith("_") and (inspect.isclass(value) or is_function(value))
        if value.__module__ == module.__name__ and value.__name__ == name  # else it is another's, or a field's default
    }


def documented():
    """Functions, classes and methods, but for those with which a class overrides another library's."""
    modules = [import_module(f"coursekit.{name}") for name in FOR_READERS.split()]
    modules += [module for _, module in inspect.getmembers(import_module("coursekit.widgets"), inspect.ismodule)]
    for module in modules:
        for name, value in public(vars(module), module).items():
            if inspect.isclass(value) or not module.__name__.startswith("coursekit.widgets."):
                yield pytest.param(value, id=f"{module.__name__}.{name}")
            for method, function in public(vars(value), module).items() if inspect.isclass(value) else ():
                others = [base for base in value.__mro__ if not base.__module__.startswith("coursekit")]
                if not any(method in vars(base) for base in others):
                    yield pytest.param(inspect.unwrap(function), id=f"{module.__name__}.{name}.{method}")


def parameters(value):
    """The names of the parameters that can be told by name, but for the object itself."""
    if inspect.isclass(value):
        made = vars(value).get("__init__", vars(value).get("__new__"))  # a named tuple has only the second
        _, *found = inspect.signature(made).parameters.values() if made else [None]
    else:
        found = inspect.signature(value).parameters.values()
    return [
        one.name
        for one in found
        if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD) and one.name not in ("self", "cls")
    ]


def sections(docstring):
    """The lines of each section, by its header, in the order of the docstring."""
    found, current = {}, None
    for line in inspect.cleandoc(docstring).splitlines():
        if line in ORDER:
            assert line not in found, f"{line} twice"
            current = found[line] = []
        elif line.startswith("    ") and current is not None:
            current.append(line.removeprefix("    "))
        elif line:
            current = None
    return found


def unexplained(value):
    """What is wrong with the docstring of a function or class, a list of texts."""
    found = sections(value.__doc__ or "")
    entries = [line.partition(":") for line in found.get("Args:", ()) if not line.startswith(" ")]
    told = [name.strip().lstrip("*") for names, colon, _ in entries if colon for name in names.split(",")]
    wrong = [name for name in parameters(value) if told.count(name) != 1]
    wrong += [header for header, lines in found.items() if not lines]
    return wrong if list(found) == sorted(found, key=ORDER.get) else [*wrong, f"the order {list(found)}"]


@pytest.mark.only_on("tensorflow")  # a docstring is the same on every backend
@pytest.mark.parametrize("value", documented())
def test_a_public_function_names_its_parameters(value):
    assert unexplained(value) == []


def in_prose(x, y):
    """Add x: a number. y: another."""


def one_of_two(x, y):
    """Add.

    Args:
        x: a number, and y: another.
    """


def in_another_order(x):
    """Double.

    Returns:
        A number.

    Args:
        x: a number.
    """


def with_an_empty_section(x):
    """Double.

    Args:
        x: a number.

    Raises:

    Source: nobody.
    """


class OfOneMade:
    """Made of something."""

    def __init__(self, something):
        pass


def as_it_should_be(x, y, *others, z=0, **options):
    """Add.

    Args:
        x, y: numbers, which
            others: follow.
        z: another.

    Returns:
        A number.

    Raises:
        ValueError: for a text.
    """


@pytest.mark.only_on("tensorflow")
@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        (in_prose, ["x", "y"]),
        (one_of_two, ["y"]),
        (in_another_order, ["the order ['Returns:', 'Args:']"]),
        (with_an_empty_section, ["Raises:"]),
        (OfOneMade, ["something"]),
        (as_it_should_be, []),
    ],
)
def test_a_parameter_that_is_not_named_is_noticed(value, wrong):
    assert unexplained(value) == wrong
