"""Checks of exercises: what travels between notebook and grader, how results are compared, and what a student reads."""

import contextlib
import json
import linecache
import struct
import tracemalloc
import unittest.mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import coursekit
from coursekit import exercises
from coursekit.exercises import inception, question, values

NUMBERS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=8)
ARRAYS = arrays.arrays(
    st.sampled_from(["bool", "int8", "uint16", "int64", "float16", "float32", "float64", ">f4"]),
    arrays.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4),
)
VALUES = st.recursive(
    NUMBERS | ARRAYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def same(one, other):
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype.newbyteorder(one.dtype.byteorder) and np.array_equal(one, other, equal_nan=True)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return type(one) is type(other) and one == other


@given(VALUES)
def test_what_is_packed_is_unpacked(value):
    assert same(values.plain(value), values.unpack(values.pack(values.plain(value))))


@given(st.binary(max_size=60), st.binary(max_size=20), VALUES, st.integers(0, 200), st.integers(0, 255))
def test_bytes_that_are_no_message_are_a_value_error(text, body, value, place, byte):
    damaged = bytearray(values.pack(values.plain(value)))
    damaged[place % len(damaged)] = byte
    for message in (struct.pack(">QQ", len(text), len(body)) + text + body, bytes(damaged)):
        try:
            values.size(message[:16])
            values.unpack(message)
        except ValueError:
            pass


@pytest.mark.parametrize(
    "head",
    [
        {"dtype": "<f8", "shape": [10**12]},
        {"dtype": "<f8", "shape": [-1]},
        {"dtype": "<f8", "shape": [0, 10**30]},
        {"dtype": "|O8", "shape": [1]},
        {"dtype": "<f8", "shape": [1] * 40},
        {"dtype": ["<f8"], "shape": [1]},
        {"dict": 3},
        {"dtype": "<f8"},
    ],
)
def test_an_array_that_lies_is_refused(head):
    text = json.dumps(head).encode()
    with pytest.raises(ValueError, match="The message"):
        values.unpack(struct.pack(">QQ", len(text), 8) + text + bytes(8))


def test_a_deep_list_is_refused():
    text = b"[" * 100_000
    with pytest.raises(ValueError, match="cannot be read"):
        values.unpack(struct.pack(">QQ", len(text), 0) + text)


@pytest.mark.parametrize("lengths", [(10, values.LARGEST + 1), (values.LARGEST_HEAD + 1, 0), (2**63, 2**63)])
def test_a_large_message_is_refused_before_it_is_read(lengths):
    with pytest.raises(ValueError, match="are too many; at most"):
        values.size(struct.pack(">QQ", *lengths))


@pytest.mark.parametrize("entry", [b"[]", b"{}", b"0", b'""', b"1e9", b'{"dict":{}}', b'{"dtype":"<f8","shape":[0]}'])
def test_no_message_that_is_let_in_becomes_large(entry):
    head = b"[" + b",".join([entry] * ((values.LARGEST_HEAD - 2) // (len(entry) + 1))) + b"]"
    tracemalloc.start()
    with contextlib.suppress(ValueError):
        values.unpack(struct.pack(">QQ", len(head), 0) + head)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**26


def test_an_array_in_place_of_a_list_is_not_taken_apart():
    array = np.zeros(2**22, "uint8")
    tracemalloc.start()
    clause = values.difference([1, 2], array, 0, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert clause == "expected 2 values, got an array of shape (4194304,)" and peak < 2**20


def test_tensors_of_the_backend_are_arrays():
    import keras

    tensor = keras.ops.ones((2, 3))
    assert same(values.plain((tensor, keras.Variable(tensor))), [np.ones((2, 3), "float32")] * 2)
    assert values.plain(keras.ops.ones((2,), "bfloat16")).dtype == "float32"


@pytest.mark.parametrize("value", [object(), {1, 2}, len, np.array([None]), np.array(["a"])])
def test_what_has_no_numbers_is_a_type_error(value):
    with pytest.raises(TypeError):
        values.plain(value)


# Comparing


def compared(expected, found):
    return values.difference(values.plain(expected), values.plain(found), rtol=1e-4, atol=1e-6)


@given(VALUES)
def test_nothing_differs_from_itself_but_what_is_not_finite(value):
    finite = not any(isinstance(leaf, np.ndarray | float) and not np.isfinite(leaf).all() for leaf in leaves(value))
    assert (compared(value, value) == "") == finite


def leaves(value):
    if isinstance(value, list | dict):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from leaves(entry)
    else:
        yield value


@given(
    arrays.arrays("float64", (3, 2), elements=st.floats(-10, 10)),
    st.integers(0, 5),
    st.floats(0.01, 100) | st.floats(-100, -0.01),
)
def test_one_wrong_number_is_found(right, place, error):
    wrong = right.copy()
    wrong.flat[place] += error
    clause = compared([1, right], (1, wrong))
    assert clause.startswith(f"in result[1], 1 of 6 numbers differ, most at [{place // 2}, {place % 2}]")


@pytest.mark.parametrize(
    ("expected", "found", "clause"),
    [
        (np.zeros((2, 3)), np.zeros((3, 2)), "expected an array of shape (2, 3), got an array of shape (3, 2)"),
        (np.zeros(3), 0.0, "expected an array of shape (3,), got a number"),
        (np.zeros(3), None, "expected an array of shape (3,), got nothing (None)"),
        (np.zeros(3), [0, 0, 0], ""),
        (np.zeros(3), [0, [0]], "expected an array of shape (3,), got a list that is no array"),
        (np.zeros(2), ["0", "0"], "expected an array of shape (2,), got a list that is no array"),
        (100_000, 100_001, "it is 100001, expected 100000"),
        (100_000, 100_000.0, ""),
        (np.array([3, 4]), np.array([3, 4.1]), "1 of 2 numbers differ, most at [1]: 4.1, expected 4"),
        (np.zeros(2), np.array([0, np.nan]), "it holds a value that is not finite (NaN or infinite)"),
        (0.5, 0.25, "it is 0.25, expected 0.5"),
        (0.5, np.array(0.5), ""),
        (1, True, ""),
        ("open", "higher", "it is 'higher', expected 'open'"),
        (True, 1, "it is 1, expected True"),
        ([1, 2], 3, "expected 2 values, got a number"),
        ([1, 2], [1], "expected 2 values, got 1"),
        ([1, 2], np.array([1, 2]), ""),
        ({"a": 1}, {"b": 1}, "expected a dict with a, got with b"),
        ([[1.0, {"a": 2.0}]], [[1.0, {"a": 3.0}]], "in result[0][1]['a'], it is 3, expected 2"),
        ([1], np.zeros((4, 2)), "expected 1 value, got an array of shape (4, 2)"),
        ([1, 2], "higher", "expected 2 values, got the text 'higher'"),
    ],
)
def test_a_difference_is_said_in_a_clause(expected, found, clause):
    assert compared(expected, found) == clause


# What a student reads

POINTS = exercises.questions("normalization")["bn-statistics"].points


@pytest.fixture
def check():
    return exercises.Check()


def right(x):
    return x.mean((0, 1, 2)), x.var((0, 1, 2))


def test_a_right_answer_passes(check, capsys):
    check("bn-statistics", right)
    assert capsys.readouterr().out == f"✓ passed · bn-statistics · {POINTS} of {POINTS} points\n"


def lazy(x):
    raise NotImplementedError("Your code goes here.")


def broken(x):
    return x.mean((0, 1, 2)), 1 / 0


def shifted(x):
    return x.mean((0, 1, 2)) + 1, x.var((0, 1, 2))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (broken, "it raises ZeroDivisionError: division by zero."),
        (shifted, "in result[0], 2 of 2 numbers differ, most at [0]"),
        (lambda x: None, "expected 2 values, got nothing (None)"),
        (lambda: 1, "it raises TypeError"),
        (lambda x: (object(), 1), "it cannot be compared: a value of type object is no array, number or text"),
        ("text", "it raises TypeError: 'str' object is not callable"),
    ],
)
def test_a_wrong_answer_is_told_why(check, capsys, answer, said):
    check("bn-statistics", answer)
    first, second, third = capsys.readouterr().out.splitlines()
    assert first == f"✗ not yet · bn-statistics · 0 of {POINTS} points"
    assert said in second
    assert third.startswith("  Hint: ")


def test_a_known_mistake_is_told_what_differs_and_why(check, capsys):
    check("bn-statistics", lambda x: (x.mean(0), x.var(0)))
    _, second, third = capsys.readouterr().out.splitlines()
    assert second.endswith("in result[0], expected an array of shape (2,), got an array of shape (3, 3, 2).")
    assert third.startswith("  This is a mean for every pixel")


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.str_("open"), "open"),
        (np.array("open"), "open"),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        ((1, 2), [1, 2]),
    ],
)
def test_values_of_numpy_become_plain(value, plain):
    found = values.plain(value)
    assert found == plain and type(found) is type(plain)


@pytest.mark.parametrize("value", [10**400, 2**63, np.array(["a", "b"]), object(), np.array([None])])
def test_what_cannot_be_compared_is_refused(value):
    with pytest.raises(TypeError):
        values.plain(value)


def test_a_tensor_that_keeps_its_gradient_is_detached():
    class Tensor:  # as of PyTorch
        def detach(self):
            return self

        def cpu(self):
            return np.ones(2)

    np.testing.assert_array_equal(values.plain(Tensor()), np.ones(2))


def test_an_answer_that_exits_is_told_so(check, capsys):
    check("bn-statistics", lambda x: exit(3))
    assert "it raises SystemExit: 3" in capsys.readouterr().out


def test_what_is_not_written_gets_no_hint(check, capsys):
    check("bn-statistics", lazy)
    assert capsys.readouterr().out.splitlines()[1:] == ["  It is not written yet."]


def test_the_traceback_before_a_message_of_tensorflow_is_left_out(check, capsys):
    def in_graph(x):
        raise ValueError("in user code:\n\n    File keras.py\n\n    ValueError: Depths differ.\n")

    check("bn-statistics", in_graph)
    assert "it raises ValueError: Depths differ." in capsys.readouterr().out


def test_few_numbers_are_shown(check, capsys):
    check("verdict", lambda before, after: "never")
    assert "Given before=[0." in capsys.readouterr().out


def test_an_error_names_the_line_of_the_notebook(check, capsys):
    cell = "<ipython-input-1-abc>"
    source = "def means(x):\n    return x.reshape(7, 7)\n"
    linecache.cache[cell] = len(source), None, source.splitlines(keepends=True), cell
    scope = {}
    exec(compile(source, cell, "exec"), scope)
    check("bn-statistics", scope["means"])
    assert "ValueError: cannot reshape array" in capsys.readouterr().out.splitlines()[1].split(" (in `return x.resh")[0]


def test_an_answer_cannot_change_the_inputs_of_the_next(check):
    def destructive(x):
        result = right(x)
        x[:] = 0
        return result

    check("bn-statistics", destructive)
    check("bn-statistics", right)
    assert check.points == {"bn-statistics": POINTS}


def test_an_unknown_question_names_the_others(check):
    with pytest.raises(ValueError, match=r"There is no question 'bn-sttistics'; there are tap, .*, bn-statistics, "):
        check("bn-sttistics", right)


def test_the_report_adds_up(check, capsys):
    check.report()
    assert "Nothing has been checked yet" in capsys.readouterr().out
    check("bn-statistics", right)
    capsys.readouterr()
    check.report()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:4] == ["bn-statistics", f"{POINTS}", "of", f"{POINTS}"]
    assert lines[1].split()[1:3] == ["–", "of"]
    assert lines[-2].split() == ["together", f"{POINTS}", "of", "100"]


def test_a_mistake_that_is_not_recognized_is_an_error(check):
    with pytest.raises(ValueError, match=f"bn-statistics: this mistake gets {POINTS} points, as if it were right"):
        check.mistake("bn-statistics", right, "This is right.")
    with pytest.raises(ValueError, match=r"bn-statistics: of this mistake, the check says: .* Run make exercises; if"):
        check.mistake("bn-statistics", shifted, "The means are too large.")
    with pytest.raises(ValueError, match=r"last-mean: .* says: .* message of a contest's mistake is a part"):
        check.mistake("last-mean", lambda **_: 0, "It looks at nothing.")


def test_the_line_that_raises_does_not_count_as_what_a_mistake_is_told(check):
    """It may hold the message itself, where all is in one line."""
    cell, line = "<ipython-input-2-abc>", 'check.mistake("bn-statistics", lambda x: 1 / 0, "Never divide.")\n'
    linecache.cache[cell] = len(line), None, [line], cell
    with pytest.raises(ValueError, match=r"of this mistake, the check says: .* division by zero"):
        exec(compile(line, cell, "exec"), {"check": check})


def test_a_question_whose_solution_is_not_recorded_says_what_to_run(check, monkeypatch):
    monkeypatch.setattr(exercises, "expected", lambda topic: {})
    with pytest.raises(ValueError, match=r"No solution of bn-statistics is recorded yet; run make exercises\."):
        check("bn-statistics", right)


def test_the_package_offers_one_check():
    assert coursekit.check is exercises.check


@pytest.mark.parametrize("topic", exercises.TOPICS)
def test_inputs_are_the_same_for_a_seed_and_others_for_another(topic):
    for one in exercises.questions(topic).values():
        drawn, again, other = (values.pack(values.plain(one.draw(seed))) for seed in (1, 1, 2))
        assert drawn == again
        assert drawn != other or not any(one.draw(1)), "only what has no inputs may draw the same"


@pytest.mark.parametrize("result", [{"error": ""}, {"error": " "}, {"error": None}, {"error": 0}, {}, "", None])
@pytest.mark.parametrize("name", ["bn-fold", "last-mean"])
def test_what_is_no_result_is_not_right(name, result):
    one, topic = exercises.find(name)
    recorded = exercises.expected(topic).get(name)
    points, sentence, _ = one.feedback(question.PUBLIC_SEED, recorded, [result] * one.cases)
    assert points == 0 and sentence.endswith(", it was not handed in.")


def test_a_contest_takes_what_its_score_says():
    contest = question.Contest(
        id="c",
        function="c",
        title="t",
        points=10,
        inputs=lambda random: {"n": 1},
        cases=1,
        score=lambda found, randoms: (0.25, "A quarter."),
    )
    assert contest.judge(0, None, [{"value": 3}]) == (2.5, "A quarter.")
    assert contest.judge(0, None, [{"error": "it raises"}]) == (0, "Given n=1, it raises.")
    for nothing in (None, [], [{}], "text", [3]):
        assert contest.judge(0, None, nothing)[0] == 0


@given(st.sampled_from(["uint8", "bool", "int16", "float16"]), st.lists(st.integers(0, 1), min_size=3, max_size=3))
def test_what_is_fitting_can_be_subtracted(dtype, numbers):
    ((_, one),) = question.fitting([np.zeros(3)], [np.array(numbers, dtype)])
    assert np.array_equal(np.diff(one), [numbers[1] - numbers[0], numbers[2] - numbers[1]])


@given(st.floats(), st.floats(0.01, 10), st.floats(0.01, 0.9))
def test_no_error_gets_more_or_less_than_points(error, worst, ratio):
    share = question.share_of(error, worst, worst * ratio)
    assert 0 <= share <= 1 and (share == 0 or error < worst)


def test_a_design_is_refused_before_it_has_weights():
    """Which the grader would hold, and no sandbox."""
    import keras

    made = unittest.mock.patch.object(keras.layers, "Conv2D", wraps=keras.layers.Conv2D)
    with made as made, pytest.raises(ValueError, match=r"Up to layer 2, it needs 39,[0-9,]+ multiplications; 2,000,"):
        inception.built([["conv", 8, 3], ["conv", 512, 7], ["conv", 512, 7]])
    assert [call.args for call in made.call_args_list] == [(8, 3)]
    with pytest.raises(ValueError, match=r"Up to layer 3, its maps have 200,900 numbers; 150,000 are allowed\."):
        inception.built([["conv", 512, 1], ["conv", 1, 1], ["conv", 512, 1]])


@pytest.mark.parametrize(
    "layer", [[np.zeros(3), 8, 3], [["conv"], 8, 3], ["x" * 10**6], ["conv", True, True], {}, None]
)
def test_a_layer_that_is_none_is_said_to_be_none(layer):
    with pytest.raises(ValueError, match=r"Layer 1 is .{1,80}; it must be") as error:
        inception.built([layer])
    assert len(str(error.value)) < 400


@pytest.mark.replay  # once: it trains for seconds
def test_a_good_design_gets_all_points_on_every_seed():
    design = [["conv", 16, 3], ["pool"], ["conv", 32, 3], ["pool"], ["conv", 64, 3]]
    for seed in range(3):
        share, sentence = inception.under_budget([design], [np.random.default_rng(seed)])
        reached = float(sentence.partition("accuracy ")[2].partition(";")[0])
        assert share == 1 and reached > inception.BEST + 0.03, "another processor needs room"


# Inputs


@given(st.integers(0, 2**128), st.sampled_from(exercises.TOPICS), st.sampled_from(exercises.TOPICS))
def test_no_question_shows_anything_of_the_random_numbers_of_another(seed, topic, other_topic):
    def first_numbers(of):
        return [
            random.integers(2**63) for question in exercises.questions(of).values() for random in question.randoms(seed)
        ]

    numbers = first_numbers(topic) + (first_numbers(other_topic) if other_topic != topic else [])
    assert len(set(numbers)) == len(numbers)


def test_a_seed_decides_the_inputs():
    one, other = (exercises.questions("normalization")["lrn"].draw(seed) for seed in (1, 2))
    assert not np.array_equal(one[0]["x"], other[0]["x"])
    assert exercises.questions("normalization")["lrn"].draw(1) is one, "drawn once"
