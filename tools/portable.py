"""Run the unit tests and every notebook as other processors would: `make portable`.

Nothing that is compared may hang on the last bits of one instruction set or on the number of threads.
"""

import stages
from numpy._core._multiarray_umath import __cpu_dispatch__ as numpys_instructions

STAGES = ("unit", "jax", "replay")


SETTINGS = {
    "old": {
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX",  # for AVX2, it makes the same code as for AVX-512
        "OPENBLAS_CORETYPE": "Haswell",
        "NPY_DISABLE_CPU_FEATURES": " ".join(numpys_instructions),
        **stages.threads(1),
    },
    "other": {"TF_ENABLE_ONEDNN_OPTS": "0", **stages.threads(4)},
}


def planned():
    """Every stage in every setting, in the form of ``stages.stages``."""
    for setting, variables in SETTINGS.items():
        for name in STAGES:
            title, environment, commands = stages.stages(stages.JOBS, stages.CELL_TIMEOUT)[name]
            yield f"{setting}: {title}", environment | variables, commands


if __name__ == "__main__":
    stages.run_all([stage] for stage in planned())
