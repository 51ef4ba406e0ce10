"""Grade the exercises of a class: ``python -m coursekit.grading SUBMISSIONS/ --out grades.csv``."""

import argparse
import concurrent.futures
import dataclasses
import json
import os
import sys
from pathlib import Path

from tqdm import tqdm

import coursekit
from coursekit import exercises
from coursekit.grading import grade, reports, sandbox, submissions, usage
from coursekit.grading.progress import SEED_BITS, Entry, Progress
from coursekit.grading.versions import versions
from coursekit.grading.workers import Died, Workers

REPOSITORY = Path(coursekit.__file__).parents[1]
PROGRESS = ".progress.jsonl"


def arguments(argv):
    parser = argparse.ArgumentParser(prog="python -m coursekit.grading", description=__doc__.splitlines()[0])
    parser.add_argument(
        "submissions", type=Path, help="a folder or zip file of notebooks, also as Moodle or Canvas make it"
    )
    parser.add_argument("--out", type=Path, required=True, help="the table of grades; other reports go beside it")
    parser.add_argument(
        "--masters", type=Path, default=REPOSITORY / "exercises", help="the folder of the exercises with solutions"
    )
    parser.add_argument("--seed", help="of the inputs, as an earlier run has printed it; by default a new one")
    parser.add_argument(
        "--sandbox",
        choices=sandbox.KINDS,
        default="bwrap",
        help="what notebooks run in, by default bwrap; in none, they can do whatever you can",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--jobs", type=int, default=os.cpu_count(), help="submissions at a time")
    where.add_argument("--dask", metavar="ADDRESS", help="of a Dask scheduler, whose workers grade")
    parser.add_argument("--resume", action="store_true", help="keep the grades there are, and grade what is new")
    parser.add_argument("--student", help="with --resume: grade only this student, and again, if need be")
    parser.add_argument(
        "--question", metavar="ID", help="with --resume: grade only this question, and again, if need be"
    )
    return parser, parser.parse_args(argv)


def check_arguments(parser, options):
    """End the program, in one sentence, for arguments that cannot be meant. Turns the seed into a number."""
    if options.jobs < 1:
        parser.error(f"--jobs is {options.jobs}; give 1 or more.")
    if options.seed is not None:
        options.seed = _number(options.seed)
        if options.seed is None or options.seed.bit_length() != SEED_BITS:
            parser.error(
                f"--seed must be one that an earlier run has printed, {SEED_BITS // 4} hexadecimal digits; a shorter "
                "one could be found by trying. Leave it out for a new one."
            )
    if (options.student or options.question) and not options.resume:
        parser.error("--student and --question change the grades of an earlier run; add --resume.")
    if options.out.is_dir():
        parser.error(f"--out {options.out} is a folder; name the table of grades to write, such as grades.csv.")
    progress = options.out.with_suffix(PROGRESS)
    if options.out.exists() and not progress.exists():
        parser.error(f"{options.out} is there, but not {progress.name}, by which grading goes on; name another --out.")
    if options.submissions.resolve() in options.out.resolve().parents:
        parser.error(f"--out {options.out} is among the submissions; write the grades somewhere else.")
    if options.sandbox == "bwrap":
        # Beside an installed coursekit there are no exercises.
        there = [path for path in (options.masters, REPOSITORY / "exercises") if path.exists()]
        for path in (options.submissions, options.out, *there):
            for folder in sandbox.visible():
                if path.resolve().is_relative_to(folder.resolve()):
                    parser.error(f"{path} lies in {folder}, which notebooks can read; move it somewhere else.")


def _number(text):
    try:
        return int(text, 16)
    except ValueError:
        return None


def warn(options):
    """Say once what protects less than it could."""
    if options.sandbox == "none":
        print(
            "WARNING: without a sandbox, every notebook can read and change whatever you can, and send it away. Grade "
            "like this only what you have read, or on a machine that you can lose.",
            file=sys.stderr,
        )
    elif options.sandbox == "bwrap" and not options.dask and not usage.parent_group():
        note = "Note: there is no control group (cgroups v2) to put notebooks in, so what they use is counted process "
        note += "by process, which is less exact."
        if os.getuid():
            note += " Grade as root, or with systemd-run --user --scope --property Delegate=yes."
        print(note, file=sys.stderr)


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
    if not options.dask:
        return Workers(options.jobs)
    try:
        from distributed import Client

        return Client(options.dask, timeout=10).get_executor()
    except ImportError:
        raise ValueError("--dask needs Dask: pip install distributed.") from None
    except OSError:
        raise ValueError(f"There is no Dask scheduler at {options.dask}; start it, or use --jobs.") from None


def results(pool, calls, **bar):
    """Run calls, a dict from a name to a function and its arguments. Yields each name with what came out, which may be
    an exception, as soon as it is there. An interrupt ends what has not begun, too.
    """
    jobs = {}
    try:
        for name, call in calls.items():
            jobs[pool.submit(*call)] = name
        for job in tqdm(concurrent.futures.as_completed(jobs), total=len(jobs), **bar):
            yield jobs[job], job.exception() or job.result()
    except BaseException:
        for job in jobs:
            job.cancel()
        pool.shutdown(wait=False)
        raise


def to_do(found, progress, of_topic, options):
    """What is to be graded: a list of pairs, a submission and the ids of its questions.

    That is every question of a submission that is new or has changed, questions that are new or have changed, and those
    that are asked for by ``--student`` and ``--question``.
    """
    todo = []
    for one in found:
        if not one.topic or options.student not in (None, one.student):
            continue
        now, before = of_topic[one.topic], progress.entries.get(Entry(one).owner)
        if not before or not before.grade or before.submission.fingerprint != one.fingerprint:
            names = list(now)
        elif options.question or options.student:
            names = [name for name in now if options.question in (None, name) or name not in before.versions]
        else:
            names = [name for name, version in now.items() if before.versions.get(name) != version]
        todo += [(one, names)] if names else []
    return todo


def refuse_incomplete(todo, progress):
    """Refuse to go on from grades that lack a question, of students whose notebooks are not there to be asked it."""
    again = {Entry(one).owner for one, _ in todo}
    for owner, kept in progress.entries.items():
        if kept.grade and owner not in again:
            new = exercises.questions(kept.submission.topic).keys() - kept.grade["points"].keys()
            if new:
                raise ValueError(
                    f"{kept.submission.who} was graded before there was a question {min(new)}; grade the whole class "
                    "again, from one folder."
                )


def entry(one, before, names, outcome, now):
    """What becomes of a submission, graded in some questions, and of its entry of an earlier run, or None.

    outcome: the grade, or the exception that came instead.
    """
    if isinstance(outcome, BaseException):
        note = f"It could not be graded ({type(outcome).__name__}: {outcome}); --resume tries again."
        return Entry(dataclasses.replace(one, notes=[*one.notes, note]))
    versions = {name: now[name] for name in names}
    if before and before.grade and before.submission.fingerprint == one.fingerprint:
        versions = before.versions | versions
        for kind in ("points", "messages"):
            outcome[kind] = {name: (before.grade[kind] | outcome[kind])[name] for name in now}
    elif before and before.grade:
        note = f"It takes the place of {before.submission.file}, which had {reports.total(before.grade):g} points."
        one = dataclasses.replace(one, notes=[*one.notes, note])
    return Entry(one, outcome, versions)


def run(options):
    """Grade what is to be graded, and write all reports. Returns the progress."""
    found = submissions.find(options.submissions)
    if options.student and not any(one.student == options.student for one in found):
        raise ValueError(
            f"--student {options.student} has handed in nothing; write the name as in the table of grades."
        )
    if options.question:
        exercises.find(options.question)  # complains
    masters = read_masters({one.topic for one in found if one.topic}, options.masters)
    of_topic = {topic: versions(topic, cells) for topic, cells in masters.items()}
    present = {(one.student, one.identifier) for one in found}
    progress = Progress(options.out.with_suffix(PROGRESS), options.seed, options.resume, present)
    for one in found:
        if not one.topic:
            progress.add(Entry(one))
    todo = to_do(found, progress, of_topic, options)
    refuse_incomplete(todo, progress)
    if todo:
        warn(options)
        grade_all(executor(options), todo, masters, of_topic, progress, options.sandbox)
    left = reports.write_all(options.out, [(one.submission, one.grade) for one in progress.sorted()], progress.seed)
    if left:
        print(
            f"Note: {len(left)} files of earlier runs, such as {left[0]}, are nobody's in these tables; remove them "
            "before you send pages back.",
            file=sys.stderr,
        )
    return progress


def grade_all(pool, todo, masters, of_topic, progress, kind):
    """Grade with an executor, and note each grade as it comes; where one fails, that is noted instead.

    Raises what went wrong with a solution, since nothing can be graded without.
    """
    topics = {one.topic for one, _ in todo}
    calls = {
        topic: (grade.key, masters[topic], topic, progress.seed, kind) for topic in exercises.TOPICS if topic in topics
    }
    keys = dict(results(pool, calls, desc="solutions", leave=False))
    for failure in keys.values():
        if isinstance(failure, BaseException):
            raise failure
    calls = {
        place: (grade.grade, one.cells, one.topic, keys[one.topic], progress.seed, kind, names)
        for place, (one, names) in enumerate(todo)
    }
    for place, outcome in results(pool, calls, desc="grading", unit="notebook"):
        one, names = todo[place]
        progress.add(entry(one, progress.entries.get(Entry(one).owner), names, outcome, of_topic[one.topic]))
    pool.shutdown()


def main(argv=None):
    parser, options = arguments(argv)
    check_arguments(parser, options)
    try:
        progress = run(options)
    except (submissions.SubmissionsError, sandbox.SandboxError, ValueError, OSError, Died) as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        sys.exit("\nInterrupted; the same command with --resume goes on from here.")
    same = "the same seed gives the same grades"
    print(f"{len(progress.entries)} submissions, {options.out} (seed {progress.seed:x}: {same})")


if __name__ == "__main__":
    main()
