"""Create or update the environment that every make target runs in: `python3 tools/environment.py .venv`.

Runs on any Python from 3.8, to be able to say that it is too old. An environment whose creation was interrupted
lacks its mark and is made again from the start.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 13)
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


def check_python():
    version = sys.version_info[:2]
    if not OLDEST <= version <= NEWEST:
        stop(
            f"This course needs Python 3.11, 3.12 or 3.13, and {sys.executable} is {version[0]}.{version[1]}; "
            "name another, as in `make book PYTHON=python3.12`."
        )


def main(folder):
    check_python()
    environment = Path(folder)
    python = environment / "bin" / "python"
    if not (environment / MARK).exists():
        print(f"Creating the environment in {folder}/ (a few minutes the first time) ...")
        shutil.rmtree(environment, ignore_errors=True)
        no_venv = "This Python cannot create environments; install its venv module (Debian: python3-venv)."
        run(no_venv, sys.executable, "-m", "venv", environment)
    offline = "A package could not be fetched; check the network connection, then run the same command again."
    if not any(environment.glob("lib/python*/site-packages/uv/__init__.py")):
        run(offline, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV)
    install = [python, "-m", "uv", "pip", "install", "--quiet", "--python", python]
    run(offline, *install, "-r", "requirements.txt")
    run(offline, *install, "--no-deps", "--no-build-isolation", "--editable", ".")
    (environment / MARK).touch()


if __name__ == "__main__":
    os.chdir(Path(__file__).resolve().parents[1])
    main(sys.argv[1])
