"""The data sets: what a good file gives, what every kind of bad one is told, and how they are cut and drawn from."""

import hashlib
import io
import pickle
import shutil
import subprocess
import sys
import zipfile

import keras
import make_clipart
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image, ImageDraw, ImageOps

from coursekit import data


@pytest.fixture(autouse=True)
def no_folder(monkeypatch):
    monkeypatch.delenv("COURSEKIT_DATA", raising=False)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty $COURSEKIT_DATA."""
    monkeypatch.setenv("COURSEKIT_DATA", str(tmp_path))
    return tmp_path


def raw(name="mnist", images=20):
    """Random arrays in the form that `keras.datasets` gives them."""
    random = np.random.default_rng(0)
    shape = data.IMAGE_SHAPES[name]
    shape = shape if shape[2] == 3 else shape[:2]
    labels = np.arange(images) % 10
    labels = labels[:, None] if name == "cifar10" else labels
    return {
        "x_train": random.integers(0, 256, (images, *shape), "uint8"),
        "y_train": labels.astype("uint8"),
        "x_test": random.integers(0, 256, (images // 2, *shape), "uint8"),
        "y_test": labels[: images // 2].astype("uint8"),
    }


def mock_download(monkeypatch, name, arrays):
    loaded = (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])
    monkeypatch.setattr(getattr(keras.datasets, name), "load_data", lambda: loaded)


def mock_no_network(monkeypatch, name):
    def fail():
        raise Exception("URL fetch failure on https://example.org")

    monkeypatch.setattr(getattr(keras.datasets, name), "load_data", fail)


def assert_holds(dataset, name, arrays):
    """A data set holds these raw arrays, in the one form that all data sets have."""
    assert dataset.name == name
    assert len(dataset.class_names) == 10
    for half in ("train", "test"):
        x, y = getattr(dataset, f"x_{half}"), getattr(dataset, f"y_{half}")
        assert (x.dtype, y.dtype) == (np.float32, np.int64)
        assert x.shape == (len(arrays[f"x_{half}"]), *data.IMAGE_SHAPES[name])
        assert x.min() >= 0 and x.max() <= 1
        assert_array_equal(np.round(x * 255).reshape(arrays[f"x_{half}"].shape), arrays[f"x_{half}"])
        assert_array_equal(y, arrays[f"y_{half}"].ravel())


# Loading


def test_digits():
    digits = data.load("digits")
    assert (digits.x_train.shape, digits.x_test.shape) == ((4000, 28, 28, 1), (1000, 28, 28, 1))
    for x, y, number in [(digits.x_train, digits.y_train, 400), (digits.x_test, digits.y_test, 100)]:
        assert (x.dtype, y.dtype) == (np.float32, np.int64)
        assert (x.min(), x.max()) == (0, 1)
        assert_array_equal(np.bincount(y), [number] * 10)
    assert not {image.tobytes() for image in digits.x_train} & {image.tobytes() for image in digits.x_test}


def test_clipart():
    clipart = data.load("clipart")
    assert (clipart.x_train.shape, clipart.x_test.shape) == ((288, 96, 96, 3), (193, 96, 96, 3))
    assert_array_equal(np.bincount(clipart.y_train), [64, 24, 26, 43, 40, 27, 35, 29])
    assert_array_equal(np.bincount(clipart.y_test), [43, 16, 18, 29, 26, 18, 23, 20])
    for x, y in [(clipart.x_train, clipart.y_train), (clipart.x_test, clipart.y_test)]:
        assert (x.dtype, y.dtype) == (np.float32, np.int64)
        assert (x.min(), x.max()) == (0, 1)


def as_others_store_them(x):
    """Small gray pictures and their mirror images, each a vector of mean 0 and length 1."""
    gray = x.mean(3).reshape(-1, 16, 6, 16, 6).mean((2, 4))
    vectors = np.stack([gray, gray[:, :, ::-1]]).reshape(2, len(x), -1)
    vectors = vectors - vectors.mean(2, keepdims=True)
    return vectors / np.linalg.norm(vectors, axis=2, keepdims=True)


def test_no_test_picture_of_clipart_is_nearly_one_for_training():
    clipart = data.load("clipart")
    (train, mirrored), (test, _) = as_others_store_them(clipart.x_train), as_others_store_them(clipart.x_test)
    assert max((train @ test.T).max(), (mirrored @ test.T).max()) < 0.95
    assert (train @ train.T - np.eye(len(train))).max() > 0.98  # on one side there are such pairs, and they are seen


def test_what_hold_out_takes_of_clipart_is_like_nothing_that_it_leaves():
    rest, (images, _) = data.hold_out(data.load("clipart"), 4)
    (taken, mirrored), (left, _) = as_others_store_them(images), as_others_store_them(rest.x_train)
    assert max((taken @ left.T).max(), (mirrored @ left.T).max()) < 0.95
    assert data.few_shot(rest, 20, seed=0).x_train.shape == (160, 96, 96, 3)


def test_every_picture_of_clipart_has_content_that_fills_it():
    clipart = data.load("clipart")
    for picture in np.concatenate([clipart.x_train, clipart.x_test]):
        dark = picture.min(2) < 0.9
        assert dark.mean() > 0.01
        rows, columns = np.flatnonzero(dark.any(1)), np.flatnonzero(dark.any(0))
        assert max(np.ptp(rows), np.ptp(columns)) > 96 / 2


def test_the_source_of_every_picture_of_clipart_is_listed():
    lines = [line.split("\t") for line in (data.ASSETS / "clipart.txt").read_text("utf-8").splitlines()]
    clipart = data.load("clipart")
    for half, labels in (("train", clipart.y_train), ("test", clipart.y_test)):
        assert [line[1] for line in lines if line[0] == half] == [clipart.class_names[label] for label in labels]
    paths = [line[2] for line in lines]
    assert len(set(paths)) == len(paths) and all(path.endswith(".png") for path in paths)


def test_clipart_is_cut_as_the_others_are():
    clipart = data.load("clipart")
    assert data.select_classes(clipart, ["birds", "bugs"]).x_test.shape == (16 + 18, 96, 96, 3)
    assert data.downsample(clipart, 3).x_train.shape == (288, 32, 32, 3)


def copy_embedded(name, folder, monkeypatch):
    copy = folder / f"{name}.npz"
    shutil.copyfile(data.ASSETS / copy.name, copy)
    monkeypatch.setattr(data, "ASSETS", folder)
    return copy


@pytest.mark.parametrize("name", data.EMBEDDED)
def test_corrupt_embedded(tmp_path, monkeypatch, name):
    copy = copy_embedded(name, tmp_path, monkeypatch)
    content = bytearray(copy.read_bytes())
    content[len(content) // 2] ^= 1
    copy.write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name}\.npz is corrupt: its SHA-256 is not"):
        data.load(name)


@pytest.mark.parametrize("function", [data.load, lambda name: data.save(name, "nowhere")])
def test_unknown_name(function):
    with pytest.raises(ValueError, match="There is no data set 'imagenet'; choose one of digits, clipart, mnist"):
        function("imagenet")


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10"])
def test_downloaded(monkeypatch, name):
    arrays = raw(name)
    mock_download(monkeypatch, name, arrays)
    assert_holds(data.load(name), name, arrays)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10"])
def test_no_network(monkeypatch, name):
    mock_no_network(monkeypatch, name)
    with pytest.raises(FileNotFoundError, match=rf"URL fetch failure.*set COURSEKIT_DATA to a folder with {name}\.npz"):
        data.load(name)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10"])
def test_from_folder(folder, name):
    arrays = raw(name)
    np.savez(folder / f"{name}.npz", **arrays)
    assert_holds(data.load(name), name, arrays)


@pytest.mark.parametrize(("name", "images"), [("digits", 4000), ("clipart", 288)])
def test_what_is_embedded_does_not_need_the_folder(folder, name, images):
    assert len(data.load(name).x_train) == images


def test_missing_from_folder(folder, monkeypatch):
    mock_download(monkeypatch, "mnist", raw())  # the network is no silent way out
    with pytest.raises(FileNotFoundError, match=r"there is no mnist\.npz in it; .* python -m coursekit\.data mnist"):
        data.load("mnist")


@pytest.mark.parametrize(
    ("array", "value"),
    [
        ("x_train", raw()["x_train"].astype("float32")),
        ("x_test", raw()["x_test"].astype("int64")),
        ("x_train", raw()["x_train"][:, :14]),
        ("x_train", raw()["x_train"][:-1]),
        ("x_train", np.uint8(0)),
        ("x_test", raw()["x_test"][:0]),
        ("y_train", raw()["y_train"] + 1),
        ("y_train", raw()["y_train"].astype("int64") - 1),
        ("y_train", raw()["y_train"].astype(str)),
        ("y_train", raw()["y_train"] + 0.5),
        ("y_test", raw()["y_test"][:-1]),
    ],
)
def test_file_with_other_arrays(folder, array, value):
    np.savez(folder / "mnist.npz", **raw() | {array: value})
    half = array[2:]
    with pytest.raises(ValueError, match=rf"does not hold mnist: x_{half} must be uint8 images of \(28, 28, 1\)"):
        data.load("mnist")


def test_channels_first_is_not_shuffled_into_channels_last(folder):
    arrays = raw("cifar10")
    np.savez(folder / "cifar10.npz", **arrays | {"x_train": arrays["x_train"].transpose(0, 3, 1, 2)})
    with pytest.raises(ValueError, match=r"x_train must be uint8 images of \(32, 32, 3\)"):
        data.load("cifar10")


def assert_unreadable(name="mnist"):
    with pytest.raises(ValueError, match=rf"{name}\.npz cannot be read as {name} .*; make it again: python -m"):
        data.load(name)


def test_file_without_one_array(folder):
    arrays = raw()
    del arrays["y_test"]
    np.savez(folder / "mnist.npz", **arrays)
    assert_unreadable()


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.999])
def test_truncated_file(folder, share):
    path = folder / "mnist.npz"
    np.savez_compressed(path, **raw())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert_unreadable()


def test_flipped_byte_is_never_another_error(folder):
    path = folder / "mnist.npz"
    np.savez_compressed(path, **raw(images=4))
    good = path.read_bytes()
    expected = data.load("mnist")
    for position in range(0, len(good), 29):
        path.write_bytes(good[:position] + bytes([good[position] ^ 0xFF]) + good[position + 1 :])
        try:
            dataset = data.load("mnist")
        except ValueError:
            continue
        # A date or another byte that zip keeps and nobody reads.
        assert_array_equal(dataset.x_train, expected.x_train, f"silently wrong with byte {position} flipped")


def test_other_kinds_of_files(folder):
    path = folder / "mnist.npz"
    path.write_text("<html>404</html>")
    assert_unreadable()
    with open(path, "wb") as file:
        np.save(file, raw()["x_train"])
    assert_unreadable()


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a data file was unpickled",))


def test_nothing_is_unpickled(folder):
    np.savez(folder / "mnist.npz", **raw() | {"y_test": np.array([Bomb()], object)})
    assert_unreadable()
    (folder / "mnist.npz").write_bytes(pickle.dumps(Bomb()))
    assert_unreadable()


def test_sidecar(folder):
    path = folder / "mnist.npz"
    np.savez(path, **raw())
    beside = folder / "mnist.npz.sha256"
    beside.write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  mnist.npz\n")
    assert len(data.load("mnist").x_train) == 20
    beside.write_text(f"{'0' * 64}  mnist.npz\n")
    with pytest.raises(ValueError, match=r"mnist\.npz is corrupt: its SHA-256 is not the expected 0000"):
        data.load("mnist")
    beside.write_text("")
    with pytest.raises(ValueError, match=r"mnist\.npz is corrupt: its SHA-256 is not the expected \(none\)"):
        data.load("mnist")


# Ants and bees: an archive of photographs, of any size and shape


def archive(path, members):
    """An archive of one-colored photographs 30 pixels high and 60 wide, with other colors left and right of its center.

    members: dict from the path of a file in the archive to the gray of its center, or to the bytes of another file.
    """
    with zipfile.ZipFile(path, "w") as file:
        for member, gray in members.items():
            pixels = np.full((30, 60, 3), [255, 0, 0], "uint8")
            pixels[:, 15:45] = gray if isinstance(gray, int) else 0
            content = io.BytesIO()
            Image.fromarray(pixels).save(content, "JPEG", quality=95, subsampling=0)
            file.writestr(f"hymenoptera_data/{member}", content.getvalue() if isinstance(gray, int) else gray)
    return str(path)


PHOTOGRAPHS = {
    "train/bees/1.jpg": 40,
    "train/ants/2.jpg": 80,
    "train/ants/1.jpg": 120,
    "train/ants/imageNotFound.gif": b"GIF89a",
    "val/ants/1.jpg": 160,
    "val/bees/1.jpg": 200,
}


def mock_archive(monkeypatch, path):
    def get_file(origin):
        assert origin == data.ANTS_BEES
        return path

    monkeypatch.setattr(keras.utils, "get_file", get_file)


def test_ants_and_bees(tmp_path, monkeypatch):
    mock_archive(monkeypatch, archive(tmp_path / "archive.zip", PHOTOGRAPHS))
    photographs = data.load("ants_bees")
    assert photographs.class_names == ("ants", "bees")
    assert (photographs.x_train.shape, photographs.x_test.shape) == ((3, 224, 224, 3), (2, 224, 224, 3))
    assert (photographs.y_train.tolist(), photographs.y_test.tolist()) == ([0, 0, 1], [0, 1])
    for x, grays in ((photographs.x_train, [120, 80, 40]), (photographs.x_test, [160, 200])):
        assert x.dtype == np.float32
        for image, gray in zip(x, grays, strict=True):
            assert_allclose(image[:, 20:-20] * 255, gray, atol=3)  # cropped about the center, in the order of the names

    path = data.save("ants_bees", tmp_path / "folder")
    monkeypatch.setattr(keras.utils, "get_file", lambda origin: pytest.fail("the folder has it"))
    monkeypatch.setenv("COURSEKIT_DATA", str(path.parent))
    assert_array_equal(data.load("ants_bees").x_train, photographs.x_train)


def test_ants_and_bees_without_a_network(monkeypatch):
    def fail(origin):
        raise Exception(f"URL fetch failure on {origin}")

    monkeypatch.setattr(keras.utils, "get_file", fail)
    with pytest.raises(
        FileNotFoundError, match=r"URL fetch .*set COURSEKIT_DATA to a folder with ants_bees\.npz"
    ) as caught:
        data.load("ants_bees")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "members",
    [
        None,
        {},
        {name: gray for name, gray in PHOTOGRAPHS.items() if name.startswith("train")},
        PHOTOGRAPHS | {"train/wasps/1.jpg": 0},
        PHOTOGRAPHS | {"test/ants/1.jpg": 0},
        PHOTOGRAPHS | {"val/ants/2.jpg": b"no photograph"},
        PHOTOGRAPHS | {"3.jpg": 0},
    ],
)
def test_another_archive_than_that_of_ants_and_bees(tmp_path, monkeypatch, members):
    path = tmp_path / "archive.zip"
    path.write_text("<html>404</html>") if members is None else archive(path, members)
    mock_archive(monkeypatch, str(path))
    with pytest.raises(ValueError, match=r"archive\.zip cannot be read as ants_bees .*; delete it, and load it again"):
        data.load("ants_bees")


# Saving


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_what_is_saved_can_be_loaded(tmp_path, monkeypatch, name):
    arrays = raw(name)
    mock_download(monkeypatch, name, arrays)
    path = data.save(name, tmp_path / "new" / "folder")
    assert sorted(p.name for p in path.parent.iterdir()) == [f"{name}.npz", f"{name}.npz.sha256"]
    digest, file = path.with_suffix(".npz.sha256").read_text().split()
    assert (digest, file) == (hashlib.sha256(path.read_bytes()).hexdigest(), path.name)

    mock_no_network(monkeypatch, name)
    monkeypatch.setenv("COURSEKIT_DATA", str(path.parent))
    assert_holds(data.load(name), name, arrays)


def test_saved_clipart_is_clipart(tmp_path, monkeypatch):
    clipart = data.load("clipart")
    with np.load(data.save("clipart", tmp_path)) as saved:
        assert_array_equal(saved["x_test"], np.round(clipart.x_test * 255))
        assert_array_equal(saved["y_train"], clipart.y_train)


def test_a_full_disk_leaves_the_old_file(folder, monkeypatch):
    mock_download(monkeypatch, "mnist", raw())
    data.save("mnist", folder)
    before = data.load("mnist")

    def fail(path, **arrays):
        path.write_bytes(b"half of it")
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(OSError, match="No space left"):
        data.save("mnist", folder)
    assert_array_equal(data.load("mnist").x_train, before.x_train)


def test_command_line(tmp_path):
    command = [sys.executable, "-m", "coursekit.data"]
    made = subprocess.run([*command, "digits", tmp_path], capture_output=True, text=True, check=True)
    path = tmp_path / "digits.npz"
    assert made.stdout == f"{path}\n"
    with np.load(path) as saved, np.load(data.ASSETS / "digits.npz") as embedded:
        for array in data.ARRAYS:
            assert_array_equal(saved[array], embedded[array])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["imagenet", "FOLDER"], "invalid choice: 'imagenet'"),
        (["mnist"], "the following arguments are required: folder"),
        (["mnist", "FOLDER"], "mnist is not on this computer and could not be downloaded (URL fetch failure"),
        (["digits", "FILE"], "File exists"),
    ],
)
def test_command_line_refuses(tmp_path, monkeypatch, capsys, arguments, sentence):
    mock_no_network(monkeypatch, "mnist")
    (tmp_path / "FILE").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["coursekit.data", *arguments])
    with pytest.raises(SystemExit) as stopped:
        data.main()
    assert stopped.value.code == 2
    output = capsys.readouterr()
    assert sentence in output.err and output.out == ""
    assert [path.name for path in tmp_path.rglob("*")] == ["FILE"]


def test_command_line_refuses_corrupt_digits(tmp_path, monkeypatch, capsys):
    with open(copy_embedded("digits", tmp_path, monkeypatch), "ab") as file:
        file.write(b"!")
    monkeypatch.setattr(sys, "argv", ["coursekit.data", "digits", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as stopped:
        data.main()
    assert stopped.value.code == 2
    assert "digits.npz is corrupt" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# Cutting and drawing: on data sets whose every image is its own number, so that it can be followed


@st.composite
def datasets(draw, fewest=1):
    """Data sets of a few classes with a few images each, in any order; training images from 0 up, test images below."""
    counts = draw(st.lists(st.integers(fewest, 6), min_size=2, max_size=5))
    labels = draw(st.permutations(np.repeat(np.arange(len(counts)), counts).tolist()))
    x = np.arange(len(labels), dtype="float32").reshape(-1, 1, 1, 1)
    y = np.array(labels, "int64")
    names = tuple(f"class {index}" for index in range(len(counts)))
    return data.Dataset("numbered", names, x, y, -1 - x, y[::-1].copy())


def numbers(x):
    return x.ravel().astype(int).tolist()


@given(dataset=datasets(), seed=st.integers(0, 2**32), chosen=st.data())
def test_few_shot_is_balanced_and_nested(dataset, seed, chosen):
    most = int(np.bincount(dataset.y_train).min())
    fewer, more = sorted(chosen.draw(st.tuples(st.integers(1, most), st.integers(1, most))))
    small, large = (data.few_shot(dataset, labels, seed) for labels in (fewer, more))
    again = data.few_shot(dataset, more, seed)

    assert_array_equal(np.bincount(large.y_train), [more] * len(dataset.class_names))
    assert len(set(numbers(large.x_train))) == len(large.x_train)
    assert_array_equal(dataset.y_train[numbers(large.x_train)], large.y_train)  # an image keeps its label
    assert set(numbers(small.x_train)) <= set(numbers(large.x_train))
    assert numbers(again.x_train) == numbers(large.x_train)
    assert min(numbers(large.x_train)) >= 0  # no test image
    assert_array_equal(large.x_test, dataset.x_test)
    assert_array_equal(large.y_test, dataset.y_test)


def test_few_shot_follows_the_seed_and_mixes_the_classes():
    digits = data.load("digits")
    draws = [data.few_shot(digits, 20, seed) for seed in range(5)]
    assert len({draw.x_train.tobytes() for draw in draws}) == 5
    assert all(np.any(np.diff(draw.y_train) < 0) for draw in draws)


@pytest.mark.parametrize("labels", [0, -1, 401, 2.0, True, None, "5"])
def test_few_shot_refuses(labels):
    with pytest.raises(ValueError, match=rf"labels_per_class is {labels}; digits has 1 to 400 training images"):
        data.few_shot(data.load("digits"), labels, seed=0)


@given(dataset=datasets(), chosen=st.data(), by_name=st.booleans())
def test_select_classes_renumbers_in_the_order_given(dataset, chosen, by_name):
    all_classes = range(len(dataset.class_names))
    classes = chosen.draw(st.lists(st.sampled_from(all_classes), min_size=1, unique=True))
    given_as = [dataset.class_names[c] for c in classes] if by_name else classes
    selected = data.select_classes(dataset, given_as)
    assert selected.class_names == tuple(dataset.class_names[c] for c in classes)
    for half in ("train", "test"):
        x, y = getattr(dataset, f"x_{half}"), getattr(dataset, f"y_{half}")
        expected = [(number, classes.index(c)) for number, c in zip(numbers(x), y, strict=True) if c in classes]
        got = numbers(getattr(selected, f"x_{half}")), getattr(selected, f"y_{half}").tolist()
        assert list(zip(*got, strict=True)) == expected
        assert getattr(selected, f"y_{half}").dtype == np.int64


@pytest.mark.parametrize(
    ("classes", "sentence"),
    [
        ([0, 10], "digits has no class 10"),
        ([-1], "digits has no class -1"),
        (["ten"], "digits has no class 'ten'"),
        ([3, 3], "Each class may be named once only"),
        ([3, "3"], "Each class may be named once only"),
        ([3.0], r"digits has no class 3\.0"),
        ([True], "digits has no class True"),
        ([], "No class is named; choose some of"),
    ],
)
def test_select_classes_refuses(classes, sentence):
    with pytest.raises(ValueError, match=sentence):
        data.select_classes(data.load("digits"), classes)


@given(dataset=datasets(fewest=2), chosen=st.data())
def test_hold_out_takes_the_last_of_every_class(dataset, chosen):
    images = chosen.draw(st.integers(1, int(np.bincount(dataset.y_train).min()) - 1))
    rest, (x, y) = data.hold_out(dataset, images)
    assert sorted(numbers(rest.x_train) + numbers(x)) == numbers(dataset.x_train)
    assert_array_equal(np.bincount(y), [images] * len(dataset.class_names))
    assert_array_equal(dataset.y_train[numbers(x)], y)
    assert_array_equal(dataset.y_train[numbers(rest.x_train)], rest.y_train)
    for c in range(len(dataset.class_names)):
        assert max(np.array(numbers(rest.x_train))[rest.y_train == c]) < min(np.array(numbers(x))[y == c])
    assert_array_equal(rest.x_test, dataset.x_test)


@pytest.mark.parametrize("images", [0, -1, 400, 2.0, True, None])
def test_hold_out_refuses(images):
    with pytest.raises(ValueError, match=rf"images_per_class is {images}; of class '0', digits has 400"):
        data.hold_out(data.load("digits"), images)


@given(factor=st.integers(1, 4), rows=st.integers(1, 3), columns=st.integers(1, 3), channels=st.sampled_from([1, 3]))
def test_downsampling_equals_the_loop(factor, rows, columns, channels):
    random = np.random.default_rng(0)
    x = random.random((2, rows * factor, columns * factor, channels), "float32")
    y = np.zeros(2, "int64")
    small = data.downsample(data.Dataset("random", ("a",), x, y, x[::-1], y), factor)
    for image, expected_of in [(small.x_train, x), (small.x_test, x[::-1])]:
        assert image.dtype == np.float32
        assert image.shape == (2, rows, columns, channels)
        for i, row, column, channel in np.ndindex(image.shape):
            square = [
                expected_of[i, row * factor + down, column * factor + right, channel]
                for down in range(factor)
                for right in range(factor)
            ]
            assert_allclose(image[i, row, column, channel], sum(map(float, square)) / factor**2, rtol=1e-5)


@pytest.mark.parametrize("factor", [0, -2, 3, 28 * 2, 2.0, True, None])
def test_downsampling_refuses(factor):
    with pytest.raises(ValueError, match=rf"factor is {factor}; it must divide the 28x28 pixels"):
        data.downsample(data.load("digits"), factor)


def test_names_and_classes_that_are_none_are_one_sentence():
    with pytest.raises(ValueError, match=r"There is no data set \['digits'\]; choose one of"):
        data.load(["digits"])
    with pytest.raises(ValueError, match="classes is 3; give a list"):
        data.select_classes(data.load("digits"), 3)


# Making clipart


def drawing(path, points, color="navy", mirrored=False):
    """A polygon on a transparent background, in a corner of its canvas."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGBA", (300, 200))
    ImageDraw.Draw(image).polygon([(20 + x, 30 + y) for x, y in points], color, "black", 3)
    (ImageOps.mirror(image) if mirrored else image).save(path)


@pytest.mark.only_on("tensorflow")  # without Keras
def test_clipart_keeps_what_is_alike_on_one_side(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(data, "ASSETS", tmp_path)
    root = tmp_path / "openclipart" / make_clipart.SOURCE
    shapes = {
        "arrow": [(0, 50), (60, 0), (60, 30), (120, 30), (120, 70), (60, 70), (60, 100)],
        "hook": [(0, 0), (90, 0), (90, 20), (20, 20), (20, 120), (0, 120)],
        "kite": [(60, 0), (75, 45), (60, 130), (45, 45)],
        "mouth": [(0, 0), (70, 40), (140, 0), (70, 20)],
        "stairs": [(0, 90), (0, 60), (30, 60), (30, 30), (60, 30), (60, 0), (90, 0), (90, 90)],
    }
    for patterns in make_clipart.CLASSES.values():
        folder = root / patterns[0].removesuffix("/**")
        for name, points in shapes.items():
            drawing(folder / f"{name}.png", points)
        drawing(folder / "arrow_2.png", shapes["arrow"])  # the same picture
        drawing(folder / "arrow_3.png", shapes["arrow"], "orange", mirrored=True)
        drawing(folder / "zigzag_bw.png", shapes["kite"][:3])
        drawing(folder / "zigzag.png", shapes["mouth"][:3])
    drawing(root / "food/fruit/champignon_01.png", shapes["hook"])
    make_clipart.main(tmp_path / "openclipart")

    assert tuple(make_clipart.CLASSES) == data.CLASS_NAMES["clipart"]
    lines = [line.split("\t") for line in (tmp_path / "clipart.txt").read_text().splitlines()]
    halves = {path: half for half, _, path in lines}
    fruit = {path.split("/")[-1].removesuffix(".png"): half for path, half in halves.items() if "/fruit/" in path}
    assert fruit.keys() == {*shapes, "arrow_3", "zigzag", "zigzag_bw"}
    assert fruit["arrow"] == fruit["arrow_3"] and fruit["zigzag"] == fruit["zigzag_bw"]
    digest = data.sha256(tmp_path / "clipart.npz")
    assert digest in capsys.readouterr().out
    monkeypatch.setitem(data.EMBEDDED, "clipart", digest)
    clipart = data.load("clipart")
    assert len(clipart.x_train) + len(clipart.x_test) == len(lines)
    assert {half for half, label, _ in lines if label == "birds"} == {"train", "test"}


@pytest.fixture
def pictures(tmp_path):
    """A folder as people have it: in color, gray, see-through, for print, two formats, and what is no picture."""
    modes = {"cats": ("RGB", "L", "RGBA", "P"), "dogs": ("RGB", "LA", "CMYK", "1")}
    for name, of_class in modes.items():
        (tmp_path / name / "from my phone").mkdir(parents=True)
        for number, mode in enumerate(of_class):
            ending = "JPG" if mode == "CMYK" else "png"
            Image.new(mode, (40, 30)).save(tmp_path / name / "from my phone" / f"{number}.{ending}")
        (tmp_path / name / "notes.txt").write_text("to be sorted")
    (tmp_path / ".ipynb_checkpoints").mkdir()
    return tmp_path


def test_pictures_of_every_kind_are_counted_as_keras_counts_them(pictures):
    assert data.check_pictures(pictures) == data.check_pictures(str(pictures)) == {"cats": 4, "dogs": 4}
    found = keras.utils.image_dataset_from_directory(pictures, image_size=(8, 8), batch_size=None, verbose=False)
    assert found.class_names == ["cats", "dogs"]
    assert sorted(int(label) for _, label in found) == [0] * 4 + [1] * 4


def damage(picture):
    picture.write_bytes(picture.read_bytes()[:-40])


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda folder: shutil.rmtree(folder), r"There is no folder .*; give the one that has a folder for each class"),
        (
            lambda folder: shutil.rmtree(folder / "dogs"),
            r"There must be a folder for each class in .*, at least two",
        ),
        (
            lambda folder: damage(folder / "cats" / "from my phone" / "0.png"),
            r"0\.png is no picture that can be read \(",
        ),
        (lambda folder: (folder / "dogs" / "x.jpeg").write_text("<html>"), r"x\.jpeg is no picture that can be read"),
        (lambda folder: (folder / "dogs" / "x.gif").touch(), r"x\.gif is no picture that can be read"),
        (lambda folder: (folder / "dogs" / "x.HEIC").touch(), r"Keras does not read \.HEIC \(.*x\.HEIC\); save such"),
        (
            lambda folder: Image.new("RGB", (8, 8)).save(folder / "dogs" / "x.jpg", format="webp"),
            r"x\.jpg is no picture that can be read",
        ),
        (
            lambda folder: [path.unlink() for path in (folder / "cats" / "from my phone").glob("[1-3].png")],
            r"The class 'cats' has too few pictures \(\.bmp, .*\), 1; give it at least two, to train on and to test on",
        ),
    ],
)
def test_a_folder_that_cannot_be_used_is_one_sentence(pictures, harm, said):
    harm(pictures)
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        data.check_pictures(pictures)
