"""Create or update the environment that every make target runs in: `python3 tools/environment.py .venv`.

Runs on any Python from 3.8, to be able to say that it is too old. An environment whose creation was interrupted
lacks its mark and is made again from the start.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

SUPPORTED = ((3, 13), (3, 12), (3, 11))
UV = "uv==0.13.9"
MARK = ".complete"


def stop(sentence):
    print(sentence, file=sys.stderr)
    sys.exit(2)


def run(sentence, *command):
    """Run a step quietly; where it fails, show the end of what it said, then the sentence."""
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        print("\n".join(done.stdout.decode(errors="replace").splitlines()[-8:]), file=sys.stderr)
        stop(sentence)


def suitable_python():
    """Return a Python that fits: the one that runs this, else one that the shell finds by its version."""
    if sys.version_info[:2] in SUPPORTED:
        return sys.executable
    for major, minor in SUPPORTED:
        name = f"python{major}.{minor}"
        # A version manager's stand-in is found without being installed; running it tells.
        if shutil.which(name) and subprocess.run([name, "-c", ""], stderr=subprocess.DEVNULL).returncode == 0:
            return name
    stop(
        f"This course needs Python 3.11, 3.12 or 3.13, and {sys.executable} is {sys.version.split()[0]}; "
        "install one of them, or name it, as in `make book PYTHON=/path/to/python3.12`."
    )


def main(folder):
    environment = Path(folder)
    python = environment / "bin" / "python"
    if not (environment / MARK).exists():
        print(f"Creating the environment in {folder}/ (a few minutes the first time) ...")
        shutil.rmtree(environment, ignore_errors=True)
        no_venv = "This Python cannot create environments; install its venv module (Debian: python3-venv)."
        run(no_venv, suitable_python(), "-m", "venv", environment)
    offline = "A package could not be fetched; check the network connection, then run the same command again."
    if not any(environment.glob("lib/python*/site-packages/uv/__init__.py")):
        run(offline, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV)
    # Compiled once, here: where Python may not write bytecode, each start of a kernel would compile all of TensorFlow.
    install = [python, "-m", "uv", "pip", "install", "--quiet", "--compile-bytecode", "--python", python]
    run(offline, *install, "-r", "requirements.txt")
    run(offline, *install, "--no-deps", "--no-build-isolation", "--editable", ".")
    (environment / MARK).touch()


if __name__ == "__main__":
    os.chdir(Path(__file__).resolve().parents[1])
    main(sys.argv[1])
