"""A plugin for the replay of notebooks: kernels are spoken to through files (`pytest -p tools.sockets`).

Two kernels that start at the same moment can be given the same free port, and then one of them dies. A file in a folder
of its own belongs to one kernel. Windows, which has no such files, stays with ports.
"""

import os
import tempfile

import nbval.kernel


class FileKernelManager(nbval.kernel.KernelManager):
    """A manager of a kernel whose sockets are files, in a folder that goes when the manager does."""

    def __init__(self, **options):
        folder = tempfile.TemporaryDirectory(prefix="kernel-")
        super().__init__(transport="ipc", ip=os.path.join(folder.name, "socket"), **options)
        self.folder = folder


if os.name == "posix":
    nbval.kernel.KernelManager = FileKernelManager
