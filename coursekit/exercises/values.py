"""Values that travel between a notebook and the grader: arrays, numbers and texts, and lists and dicts of them.

Nothing is pickled, so reading runs no code. A message is the length of its head and of its body, the head as JSON, and
the bytes of its arrays as the body.
"""

import json
import math
import re
import struct

import numpy as np

# Bytes of a message: of its head, each of which may become an object twenty times as large, and of its arrays.
LARGEST_HEAD, LARGEST = 2**19, 2**22
_LENGTHS = struct.Struct(">QQ")
_DTYPE = re.compile(r"[<|][biuf][1248]")


def plain(value):
    """Return a value as nothing but arrays, numbers, texts, None, lists and dicts.

    Tuples become lists, tensors and variables of any backend become arrays. Raises TypeError for what has no such form.

    >>> plain({"mean": np.float32(0.5), "shape": (2, 3)})
    {'mean': 0.5, 'shape': [2, 3]}
    """
    if isinstance(value, dict):
        return {str(key): plain(of_key) for key, of_key in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, str):
        return str(value)  # NumPy's texts, too
    if isinstance(value, int) and abs(value) >= 2**63:
        raise TypeError("an integer of more than 63 bits is too large")
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if hasattr(value, "detach"):  # PyTorch's tensors, which NumPy refuses while they keep a gradient
        value = value.detach().cpu()
        value = value.float() if str(value.dtype) == "torch.bfloat16" else value
    if not hasattr(value, "__array__"):
        raise TypeError(f"a value of type {type(value).__name__} is no array, number or text")
    array = np.array(np.asarray(value), subok=False, order="C")
    if array.dtype.kind == "U" and not array.ndim:
        return str(array.item())
    if array.dtype.kind == "V":  # bfloat16
        array = array.astype("float32")
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise TypeError(f"an array of dtype {array.dtype} has no numbers that can be compared")
    return array if array.ndim else array.item()


def pack(value):
    """A plain value as bytes. Raises ValueError for one that is too large.

    >>> unpack(pack([1, "two", np.arange(3)]))
    [1, 'two', array([0, 1, 2])]
    """
    arrays = []

    def head(value):
        if isinstance(value, np.ndarray):
            array = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
            arrays.append(array.tobytes())
            return {"dtype": array.dtype.str, "shape": array.shape}
        if isinstance(value, dict):
            return {"dict": {key: head(of_key) for key, of_key in value.items()}}
        return [head(entry) for entry in value] if isinstance(value, list) else value

    text, body = json.dumps(head(value)).encode(), b"".join(arrays)
    lengths = _LENGTHS.pack(len(text), len(body))
    size(lengths)  # complains
    return lengths + text + body


def read(stream):
    """Read one message from a binary stream. Raises EOFError at its end, ValueError for what is none."""
    lengths = stream.read(_LENGTHS.size)
    if len(lengths) < _LENGTHS.size:
        raise EOFError("The stream has ended.")
    return unpack(lengths + stream.read(size(lengths)))


def size(lengths):
    """How many bytes follow the first 16. Raises ValueError for too many."""
    of_head, of_arrays = _LENGTHS.unpack(lengths)
    for what, found, most in (("lists and texts", of_head, LARGEST_HEAD), ("arrays", of_arrays, LARGEST)):
        if found > most:
            raise ValueError(f"{found:,} bytes of {what} are too many; at most {most:,} can be handed in.")
    return of_head + of_arrays


def unpack(message):
    """The plain value of a message. Raises ValueError for bytes that are none, whatever they are."""
    of_text, of_body = _LENGTHS.unpack_from(message)
    text = message[_LENGTHS.size : _LENGTHS.size + of_text]
    body = memoryview(message)[_LENGTHS.size + of_text :]
    if len(body) != of_body:
        raise ValueError("The message is cut off.")
    start = 0

    def value(head):
        nonlocal start
        if isinstance(head, list):
            return [value(entry) for entry in head]
        if not isinstance(head, dict):
            return head
        if head.keys() == {"dict"} and isinstance(head["dict"], dict):
            return {key: value(of_key) for key, of_key in head["dict"].items()}
        dtype, shape = head["dtype"], head["shape"]
        if not _DTYPE.fullmatch(dtype) or not all(type(n) is int and n >= 0 for n in shape) or len(shape) > 32:
            raise ValueError("The message has an array that is none.")
        dtype = np.dtype(dtype)
        end = start + math.prod(shape) * dtype.itemsize
        array = np.frombuffer(body[start:end], dtype).reshape(shape).copy()
        start = end
        return array

    try:
        result = value(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"The message cannot be read: {error}") from None
    if start != of_body:
        raise ValueError("The message has more bytes than its arrays.")
    return result


def difference(expected, found, rtol, atol):
    """Say in a clause how a plain value differs from the expected one; an empty text where it does not.

    Numbers and arrays of shape () are the same, and so are lists of numbers and arrays. Where integers are expected,
    only they are right. NaN equals nothing.
    """
    if isinstance(expected, (str, bool)) or expected is None:
        same = type(found) is type(expected) and found == expected
        return "" if same else f"it is {_shown(found)}, expected {_shown(expected)}"
    if isinstance(expected, dict):
        if not isinstance(found, dict) or found.keys() != expected.keys():
            names = f"with {', '.join(found)[:60]}" if isinstance(found, dict) else _kind(found)
            return f"expected a dict with {', '.join(expected)}, got {names}"
        parts = ((f"[{key!r}]", expected[key], found[key]) for key in expected)
        return _first_difference(parts, rtol, atol)
    if isinstance(expected, list):
        several = isinstance(found, list) or (isinstance(found, np.ndarray) and found.ndim > 0)
        if not several or len(found) != len(expected):
            got = f"{len(found)}" if isinstance(found, list) else _kind(found)
            return f"expected {len(expected)} value{'s' * (len(expected) != 1)}, got {got}"
        parts = ((f"[{place}]", *pair) for place, pair in enumerate(zip(expected, found, strict=True)))
        return _first_difference(parts, rtol, atol)
    return _array_difference(np.asarray(expected), found, rtol, atol)


def _first_difference(parts, rtol, atol):
    for name, expected, found in parts:
        clause = difference(expected, found, rtol, atol)
        if clause:
            further_in = clause.startswith("in result")
            return f"in result{name}{clause.removeprefix('in result')}" if further_in else f"in result{name}, {clause}"
    return ""


def _array_difference(expected, found, rtol, atol):
    if isinstance(found, (dict, str)) or found is None:
        return f"expected {_kind(expected)}, got {_kind(found)}"
    try:
        array = np.asarray(found)
    except ValueError:  # rows of different lengths
        array = np.asarray(None)
    if array.dtype.kind not in "biuf":
        return f"expected {_kind(expected)}, got {_kind(found)} that is no array"
    found = array
    if found.shape != expected.shape:
        return f"expected {_kind(expected)}, got {_kind(found)}"
    if expected.dtype.kind in "iu" and np.isfinite(atol):
        rtol = atol = 0
    expected, found = expected.astype("float64"), found.astype("float64")
    if not np.isfinite(found).all():
        return "it holds a value that is not finite (NaN or infinite)"
    wrong = ~(np.abs(found - expected) <= atol + rtol * np.abs(expected))
    if not wrong.any():
        return ""
    if not expected.shape:
        return f"it is {_number(found.item())}, expected {_number(expected.item())}"
    place = np.unravel_index(np.argmax(np.abs(found - expected)), expected.shape)
    return (
        f"{wrong.sum():,} of {wrong.size:,} numbers differ, most at [{', '.join(map(str, place))}]: "
        f"{_number(found[place])}, expected {_number(expected[place])}"
    )


def _number(value):
    return f"{value:.0f}" if value == round(value) and abs(value) < 1e15 else f"{value:.5g}"


def _kind(value):
    if isinstance(value, np.ndarray) and value.ndim:
        return f"an array of shape {value.shape}"
    if isinstance(value, (list, dict)):
        return f"a {type(value).__name__}"
    if isinstance(value, str):
        return f"the text {value[:60]!r}"
    return "nothing (None)" if value is None else "a number"


def _shown(value):
    return repr(value)[:60] if isinstance(value, (str, bool, int, float)) else _kind(value)
