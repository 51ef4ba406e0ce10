"""What the grade of a question rests on beside the notebook and the seed, as a hash that no comment changes."""

import ast
import functools
import hashlib
import importlib
import inspect
import re

from coursekit import exercises

MAGIC = re.compile(r"^\s*[%!].*$", re.MULTILINE)


def versions(topic, master):
    """The version of each question of a topic: of its definition, and of what concerns it in the exercise's master.

    master: pairs of a cell's number and its source. Returns a dict from the question's id to a text.
    """
    tree = ast.parse(inspect.getsource(importlib.import_module(f"coursekit.exercises.{topic}")))
    questions = exercises.questions(topic)
    cells = [_parsed(source) for _, source in master]
    concerns = [_concerns(cell, questions) for cell in cells]
    return {
        name: hashlib.sha256(
            "\n".join(
                [
                    *_definition(tree, name),
                    *(_dump(cell) for cell, of in zip(cells, concerns, strict=True) if name in of),
                ]
            ).encode()
        ).hexdigest()
        for name in questions
    }


@functools.cache
def _parsed(source):
    """The syntax tree of a cell, without magics; its text where there is none."""
    try:
        return ast.parse(MAGIC.sub("pass", source))
    except SyntaxError:
        return source


def _dump(node):
    return node if isinstance(node, str) else ast.dump(node)


def _concerns(cell, questions):
    """The questions that a master's cell may change the answer to: those that it names, or all, where it names none."""
    if isinstance(cell, str):
        return set(questions)
    text = {node.value for node in ast.walk(cell) if isinstance(node, ast.Constant)}
    defined = {node.name for node in ast.walk(cell) if isinstance(node, ast.FunctionDef)}
    named = {name for name, question in questions.items() if name in text or question.function in defined}
    return named or set(questions)


def _definition(tree, question):
    """Dumps of a question's entry and of all in its module that the entry needs, directly or not."""
    defined = {}
    for node in tree.body:
        targets = [target for target in getattr(node, "targets", ()) for target in ast.walk(target)]
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        for name in [*names, *(alias.asname or alias.name for alias in getattr(node, "names", ()))]:
            defined[name] = node
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            defined[node.name] = node
    entries = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _keyword(node, "id") == question]
    found, todo = [], entries or [tree]
    while todo:
        node = todo.pop()
        found.append(_dump(node))
        for name in sorted({inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)} & defined.keys()):
            todo.append(defined.pop(name))
    return sorted(found)


def _keyword(call, name):
    return next((of.value.value for of in call.keywords if of.arg == name and isinstance(of.value, ast.Constant)), None)
