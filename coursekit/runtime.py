"""What runs where: profile, seeds, backend and device of a session."""

import contextlib
import functools
import gc
import importlib
import os
import platform
import sys
from types import SimpleNamespace

from coursekit import require
from coursekit._version import __version__

PROFILES = ("quick", "full")


def profile():
    """Return the profile of this session, ``"quick"`` or ``"full"``, from ``COURSEKIT_PROFILE``.

    Returns:
        str, ``"quick"`` where the environment variable is not set.

    Raises:
        ValueError: for any other name.

    >>> profile()
    'quick'
    """
    name = os.environ.get("COURSEKIT_PROFILE", "quick")
    if name not in PROFILES:
        raise ValueError(f"COURSEKIT_PROFILE is {name!r}; set it to 'quick' or 'full'.")
    return name


def settings(*, quick, full):
    """Choose an experiment's settings by profile.

    Args:
        quick, full: dicts with the same keys, ``seeds`` among them: how many seeds the experiment runs over.

    Returns:
        A namespace with those keys as attributes, and ``seeds`` as a range.

    Raises:
        ValueError: where the two profiles do not name the same settings, or for fewer than three seeds.

    >>> settings(quick=dict(epochs=3, seeds=5), full=dict(epochs=60, seeds=3))
    namespace(epochs=3, seeds=range(0, 5))
    """
    if quick.keys() != full.keys():
        odd = ", ".join(sorted(quick.keys() ^ full.keys()))
        raise ValueError(f"The quick and the full settings must name the same things; only one of them has: {odd}.")
    chosen = quick if profile() == "quick" else full
    if not require.is_whole(chosen.get("seeds")) or chosen["seeds"] < 3:
        raise ValueError("Give seeds=3 or more: one or two runs show chance, not an effect.")
    return SimpleNamespace(**chosen | {"seeds": range(chosen["seeds"])})


def setup(seed=0):
    """Prepare a notebook: silence start-up logs, fix the seeds, and say in one line what runs where.

    Args:
        seed: int, given to Python's, NumPy's and the backend's generators.

    Raises:
        ValueError: for an unknown profile.
        ModuleNotFoundError: where no Keras backend is installed.
    """
    where = load_backend(seed)
    versions = " · ".join(f"{name} {version}" for name, version in where["versions"].items())
    print(f"{where['profile']} profile on {where['device']} · {versions}")


def load_backend(seed):
    """What ``setup`` does, in silence.

    Args:
        seed: int, as for ``setup``.

    Returns:
        What ``describe`` returns.

    Raises:
        ValueError: for an unknown profile.
        ModuleNotFoundError: where no Keras backend is installed.
    """
    profile()  # complain before the slow import
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # no information, but warnings, after start-up too
    with silent_stderr():
        import keras

        if keras.backend.backend() == "tensorflow" and profile() == "quick":
            _use_one_thread()
        keras.utils.set_random_seed(seed)
        where = describe()
        if where["backend"] == "tensorflow":
            import tensorflow as tf

            # It takes many small models, which is what experiments are made of, for a mistake, and says so in the page.
            tf.get_logger().setLevel("ERROR")
    _freeze_imports()
    return where


def _use_one_thread():
    """Let TensorFlow compute every operation in one thread: the quick profile's are so small that a second thread costs
    more in handing over than it computes, and the numbers no longer depend on how many cores there are.
    """
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):  # it has computed something already, and cannot change any more
        tf.config.threading.set_intra_op_parallelism_threads(1)


@functools.cache  # once: what a second set-up finds is a reader's
def _freeze_imports():
    """Take what has been imported, half a million objects, out of Python's search for garbage, which is quick now and
    comes often. A model that nobody needs any more waits for it: its parts refer to each other.
    """
    gc.freeze()


def describe():
    """Return where this session runs.

    Returns:
        A dict of ``profile``, ``backend``, ``device`` and ``versions`` by name.

    Raises:
        ValueError: for an unknown profile.

    >>> sorted(describe())
    ['backend', 'device', 'profile', 'versions']
    """
    import keras

    backend = keras.backend.backend()
    backend_module = importlib.import_module(backend)
    versions = {"keras": keras.__version__, backend: backend_module.__version__, "coursekit": __version__}
    return {
        "profile": profile(),
        "backend": backend,
        "device": _device(backend),
        "versions": versions | {"python": platform.python_version()},
    }


def _device(backend):
    """Name the accelerator that the backend sees, else the processor and how many cores we may use."""
    if backend == "tensorflow":
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        if gpus:
            return tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
    elif backend == "jax":
        import jax

        if jax.default_backend() != "cpu":
            return jax.devices()[0].device_kind
    elif backend == "torch":
        import torch

        if torch.cuda.is_available():
            return torch.cuda.get_device_name()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"CPU ({cores} core{'s' if cores > 1 else ''})"


def is_replay():
    """Return whether this is a replay, which compares what a notebook prints with what it printed.

    Returns:
        Bool.

    >>> is_replay()  # this example is run by a test
    True
    """
    return "PYTEST_VERSION" in os.environ


def is_watched():
    """Return whether somebody watches: neither is this a replay, nor the maintainers' command, which keeps the output.

    Returns:
        Bool.

    >>> is_watched()
    False
    """
    return not is_replay() and "COURSEKIT_RECORD" not in os.environ


@contextlib.contextmanager
def silent_stderr():
    """Send file descriptor 2 to nowhere: TensorFlow's C++ start-up logs ignore both Python and the environment."""
    sys.stderr.flush()
    saved = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(nowhere)
        os.close(saved)
