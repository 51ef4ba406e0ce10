"""Grade the exercises of a class: ``python -m coursekit.grading SUBMISSIONS/ --out grades.csv``."""

import argparse
import concurrent.futures
import hashlib
import importlib
import inspect
import json
import multiprocessing
import os
import secrets
import sys
from pathlib import Path

from tqdm import tqdm

import coursekit
from coursekit import checks
from coursekit.grading import grade, reports, sandbox, submissions

MASTERS = Path(coursekit.__file__).parents[1] / "exercises"


def arguments(argv):
    parser = argparse.ArgumentParser(prog="python -m coursekit.grading", description=__doc__.splitlines()[0])
    parser.add_argument("submissions", help="a folder or zip file of notebooks, also as Moodle or Canvas make it")
    parser.add_argument("--out", type=Path, required=True, help="the table of grades; other reports go beside it")
    parser.add_argument("--masters", type=Path, default=MASTERS, help="the folder of the exercises with solutions")
    parser.add_argument("--seed", type=int, help="of the inputs; by default a new one, which nobody knows")
    parser.add_argument("--sandbox", choices=sandbox.KINDS, default="bwrap")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--jobs", type=int, default=os.cpu_count(), help="submissions at a time")
    where.add_argument("--dask", metavar="ADDRESS", help="of a Dask scheduler, whose workers grade")
    parser.add_argument("--resume", action="store_true", help="keep the grades there are, and grade what is missing")
    return parser, parser.parse_args(argv)


class Progress:
    """Grades so far, one JSON line each; the first line has the seed."""

    def __init__(self, path, seed, resume):
        self.path, self.grades = path, {}
        lines = path.read_text("utf-8").splitlines() if path.is_file() else []
        if len(lines) > 1 and not resume:
            raise ValueError(f"{path} has grades of an earlier run; go on with --resume, or name another --out.")
        if lines and resume:
            self.seed = json.loads(lines[0])["seed"]
            if seed not in (None, self.seed):
                raise ValueError(f"{path.name} was begun with seed {self.seed}; leave --seed out, or --resume.")
            for line in lines[1:]:
                try:
                    entry = json.loads(line)
                except ValueError:  # the line in which the last run was interrupted
                    continue
                self.grades[entry["key"]] = entry["grade"]
        else:
            self.seed = secrets.randbelow(2**63) if seed is None else seed
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = [{"seed": self.seed}, *({"key": key, "grade": value} for key, value in self.grades.items())]
        reports.write(path, "".join(f"{json.dumps(line)}\n" for line in kept))

    def add(self, key, value):
        self.grades[key] = value
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"key": key, "grade": value}) + "\n")


def identity(submission, masters):
    """What decides a grade beside the seed: the cells, the master, and the questions."""
    questions = inspect.getsource(importlib.import_module(f"coursekit.checks.{submission.topic}"))
    return hashlib.sha256(json.dumps([submission.cells, masters[submission.topic], questions]).encode()).hexdigest()


def read_masters(topics, folder):
    """The code of the masters, a dict by topic."""
    found = {}
    for topic in topics:
        paths = sorted(folder.glob(f"[0-9][0-9]-{topic}*.ipynb"))
        if not paths:
            raise FileNotFoundError(f"{folder} has no master of {topic}; name their folder with --masters.")
        found[topic] = submissions.code(json.loads(paths[0].read_text("utf-8")), "not-graded")
    return found


def executor(options):
    """Where submissions are graded: any ``concurrent.futures.Executor``."""
    if options.dask:
        try:
            from distributed import Client

            return Client(options.dask, timeout=10).get_executor()
        except ImportError:
            raise ValueError("--dask needs Dask: pip install distributed.") from None
        except OSError:
            raise ValueError(f"There is no Dask scheduler at {options.dask}; start it, or use --jobs.") from None
    return concurrent.futures.ProcessPoolExecutor(options.jobs, multiprocessing.get_context("spawn"))


def grade_all(pool, todo, keys, options, progress):
    """Grade with an executor, and note each grade as it comes. What goes wrong ends what has not begun, too."""
    jobs = {}
    try:
        for name, one in todo.items():
            key = keys[one.topic]
            job = pool.submit(grade.grade, one.cells, one.topic, key, progress.seed, options.sandbox)
            jobs[job] = name
        for job in tqdm(concurrent.futures.as_completed(jobs), total=len(jobs), desc="grading", unit="notebook"):
            progress.add(jobs[job], job.result())
    except BaseException:
        for job in jobs:
            job.cancel()
        pool.shutdown(wait=False)
        raise
    pool.shutdown()


def run(options):
    """Grade what is not graded yet, and write all reports."""
    found = submissions.find(options.submissions)
    masters = read_masters({one.topic for one in found if one.topic}, options.masters)
    progress = Progress(options.out.with_suffix(".progress.jsonl"), options.seed, options.resume)
    names = [identity(one, masters) if one.topic else None for one in found]
    todo = {name: one for name, one in zip(names, found, strict=True) if name and name not in progress.grades}
    topics = [topic for topic in checks.TOPICS if any(one.topic == topic for one in todo.values())]
    keys = {
        topic: grade.key(masters[topic], topic, progress.seed, options.sandbox)
        for topic in tqdm(topics, desc="solutions", leave=False)
    }
    if todo:
        grade_all(executor(options), todo, keys, options, progress)
    graded = [(one, progress.grades.get(name)) for name, one in zip(names, found, strict=True)]
    reports.write_all(options.out, graded, progress.seed)
    return graded, progress.seed


def main(argv=None):
    parser, options = arguments(argv)
    if options.jobs < 1:
        parser.error(f"--jobs is {options.jobs}; give 1 or more.")
    if options.seed is not None and options.seed < 0:
        parser.error(f"--seed is {options.seed}; give 0 or more.")
    if options.out.is_dir():
        parser.error(f"--out {options.out} is a folder; name the table of grades to write, such as grades.csv.")
    if Path(options.submissions).resolve() in options.out.resolve().parents:
        parser.error(f"--out {options.out} is among the submissions; write the grades somewhere else.")
    if options.sandbox == "none":
        print(
            "WARNING: without a sandbox, every notebook can read and change whatever you can, and send it away. Grade "
            "like this only what you have read, or on a machine that you can lose.",
            file=sys.stderr,
        )
    try:
        graded, seed = run(options)
    except (submissions.SubmissionsError, sandbox.SandboxError, ValueError, OSError) as error:
        parser.error(str(error))
    except concurrent.futures.BrokenExecutor:
        sys.exit("A process that grades has ended, for lack of memory perhaps; go on with --resume and fewer --jobs.")
    except KeyboardInterrupt:
        sys.exit("\nInterrupted; the same command with --resume goes on from here.")
    print(f"{len(graded)} submissions, {options.out} (seed {seed}: the same seed gives the same grades)")


if __name__ == "__main__":
    main()
