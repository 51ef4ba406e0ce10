"""Programs that tests need beside Python: found, or installed as Debian's package where that is allowed."""

import os
import shutil
import subprocess


def succeeds(*commands):
    return all(subprocess.run(command, capture_output=True, timeout=600).returncode == 0 for command in commands)


def program(package, *names):
    """Path of the first program of those names, installed if need be; None where there is none."""

    def found():
        return next(filter(None, map(shutil.which, names)), None)

    may_install = shutil.which("apt-get") and os.geteuid() == 0
    if not found() and may_install:
        succeeds(["apt-get", "update"], ["apt-get", "install", "-y", package])
    return found()
