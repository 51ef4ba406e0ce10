"""Files for the instructor, the learning platform and the students, each written whole or not at all."""

import csv
import html
import io
import json
import re
import unicodedata
from pathlib import Path

from coursekit import exercises

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .35rem .6rem; vertical-align: top; }
tr { border-bottom: 1px solid #ddd; } td.points { white-space: nowrap; text-align: right; }
.histogram th { width: 6rem; }
.bar { background: #2a6f97; height: 1rem; display: inline-block; vertical-align: middle; }
.full { color: #1b6e3c; } .none { color: #a61b1b; }
@media (prefers-color-scheme: dark) { body { background: #14181e; color: #ced6dd; } tr { border-color: #333b45; }
.full { color: #7bc99a; } .none { color: #f2938c; } }
"""


LONGEST_NAME = 100  # bytes of a student's name in that of a file, all of which may have 255
# What a formula begins with, also in Japanese, and behind what ends a cell where a comma stands in numbers.
FORMULA = re.compile(r"(^|;)(?=[=+\-@\t\r＝＋－＠])")
RESERVED = re.compile(r"con|prn|aux|nul|com\d|lpt\d", re.IGNORECASE)  # what Windows calls its devices


def total(grade):
    """The points of a grade together, as an integer where they are one."""
    points = round(sum(grade["points"].values()), 1)
    return int(points) if points == int(points) else points


def possible(topic):
    return sum(question.points for question in exercises.questions(topic).values())


def write_all(out, graded, seed):
    """Write every report beside ``out``, which is the table of grades. graded: list of (submission, grade or None).

    Returns the pages and files of earlier runs that are nobody's any more, which stay: whoever had handed in nothing
    that could be read has another name now, and two pages.
    """
    beside = out.with_suffix("")
    write(out, _grades(graded))
    write(Path(f"{beside}-canvas.csv"), _canvas(graded))
    if any(map(_is_participant, graded)):
        for topic in _topics(graded):
            write(Path(f"{beside}-moodle-{topic}.csv"), _moodle(graded, topic))
    write(Path(f"{beside}-summary.html"), _summary(graded, f"{seed:x}"))
    used = set()
    names = [_file_name(submission, used) for submission, _ in graded]
    feedback = [_feedback(submission, grade) for submission, grade in graded]
    results = [json.dumps(_gradescope(submission, grade), indent=1) for submission, grade in graded]
    left = _fill(Path(f"{beside}-feedback"), ".html", names, feedback)
    return left + _fill(Path(f"{beside}-gradescope"), ".json", names, results)


def _fill(folder, ending, names, texts):
    """Write one file a submission. Returns those that are of none."""
    for name, text in zip(names, texts, strict=True):
        write(folder / f"{name}{ending}", text)
    known = set(map(_folded, names))
    return [path for path in sorted(folder.glob(f"*{ending}")) if _folded(path.name.removesuffix(ending)) not in known]


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.unfinished")
    # Names of files and messages are the students' own, and may hold what is no character.
    unfinished.write_bytes(text.encode("utf-8", "replace"))
    unfinished.replace(path)


def _file_name(submission, used):
    """A name that is safe on every system, and nobody else's.

    Moodle and Canvas know by it whose feedback it is. Both go by what stands between underscores, so that a student's
    name has none.
    """
    words = "".join(letter if unicodedata.category(letter)[0] in "LMN" else " " for letter in submission.student)
    student = "-".join(words.split()).encode()[:LONGEST_NAME].decode(errors="ignore") or "student"
    numbers = {
        "Moodle": [submission.identifier, "assignsubmission", "file"],
        "Canvas": [submission.identifier, str(submission.attachment)],
    }
    if submission.identifier and submission.platform in numbers:
        name = "_".join([student, *numbers[submission.platform], submission.topic or "exercise"])
    else:
        name = "_".join(filter(None, [student, submission.topic]))
    while RESERVED.fullmatch(name) or _folded(name) in used:
        name += "_"
    used.add(_folded(name))
    return name


def _folded(name):
    """The same for names that some system takes for one."""
    return unicodedata.normalize("NFKC", name).casefold()


def _table(rows):
    text = io.StringIO()
    csv.writer(text).writerows([[_cell(value) for value in row] for row in rows])
    return text.getvalue()


def _cell(value):
    """A value that no spreadsheet takes for a formula: names and files are the students' own words."""
    return FORMULA.sub(r"\1'", value) if isinstance(value, str) else value


def _grades(graded):
    names = [name for topic in exercises.TOPICS for name in exercises.questions(topic)]
    names = [name for name in names if any(grade and name in grade["points"] for _, grade in graded)]
    rows = [["student", "id", "exercise", "file", "points", "of", "late", *names, "notes"]]
    for submission, grade in graded:
        sums = [total(grade), possible(submission.topic)] if grade else ["", ""]
        by_question = [f"{grade['points'][name]:g}" if grade and name in grade["points"] else "" for name in names]
        notes = " ".join(submission.notes + (grade["notes"] if grade else []))
        owner = [submission.student, submission.identifier, submission.topic, submission.file]
        rows.append([*owner, *sums, "late" if submission.late else "", *by_question, notes])
    return _table(rows)


def _topics(graded):
    return [topic for topic in exercises.TOPICS if any(submission.topic == topic for submission, _ in graded)]


def _canvas(graded):
    """For Canvas, *Grades, Import*: it knows a student by ID, and an assignment by its name.

    A participant's number in Moodle might be the ID of somebody else.
    """
    topics = _topics(graded)
    found = {}
    for submission, grade in graded:
        owner = submission.student, submission.identifier, submission.platform == "Canvas"
        points = found.setdefault(owner, {})
        if grade:
            points[submission.topic] = total(grade)
    rows = [["Student", "ID", "Section", *topics]]
    for (student, identifier, is_of_canvas), points in found.items():
        rows.append([student, identifier if is_of_canvas else "", "", *(points.get(topic, "") for topic in topics)])
    return _table(rows)


def _is_participant(entry):
    """Whether a submission, with its grade, is from Moodle, which knows its participants by number."""
    submission, _ = entry
    return submission.platform == "Moodle" and submission.identifier


def _moodle(graded, topic):
    """For Moodle, *Upload grading worksheet* in the assignment: it knows a participant by number.

    Moodle leaves a grade as it is where there is none here.
    """
    found = {}
    for submission, grade in filter(_is_participant, graded):
        row = found.setdefault((submission.student, submission.identifier), {"grade": "", "comments": []})
        if grade is None:
            row["comments"] += submission.notes
        elif submission.topic == topic:
            row["grade"] = total(grade)
            row["comments"] += _comments(submission, grade)
    rows = [["Identifier", "Full name", "Grade", "Last modified (grade)", "Feedback comments"]]
    for (student, identifier), row in found.items():
        comments = "<br>".join(map(html.escape, row["comments"]))  # Moodle takes them for HTML
        rows.append([f"Participant {identifier}", student, row["grade"], "", comments])
    return _table(rows)


def _comments(submission, grade):
    """What the page of feedback says, in sentences."""
    questions = exercises.questions(submission.topic)
    missed = [f"{questions[name].title}: {message}" for name, message in grade["messages"].items() if message]
    return [f"{total(grade):g} of {possible(submission.topic)} points.", *missed, *submission.notes, *grade["notes"]]


def _gradescope(submission, grade):
    """What Gradescope's autograder writes as results.json. Without a score, it waits for a person's."""
    if not grade:
        return {"output": " ".join(submission.notes), "tests": []}
    tests = [
        {
            "name": f"{name}: {question.title}",
            "score": grade["points"][name],
            "max_score": question.points,
            "output": grade["messages"][name],
        }
        for name, question in exercises.questions(submission.topic).items()
    ]
    return {"score": total(grade), "output": " ".join(grade["notes"]), "tests": tests}


def _page(title, body):
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>\n'
        f"<body><main><h1>{html.escape(title)}</h1>\n{body}</main></body></html>\n"
    )


def _feedback(submission, grade):
    title = f"{submission.topic.capitalize() or 'Exercise'}: {submission.student}"
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in submission.notes + (grade["notes"] if grade else []))
    if not grade:
        return _page(title, f"<p><strong>Not graded.</strong></p>{notes}")
    rows = []
    for name, question in exercises.questions(submission.topic).items():
        points = grade["points"][name]
        kind = "full" if points == question.points else "none" if points == 0 else ""
        message = html.escape(grade["messages"][name]) or "Right."
        rows.append(
            f'<tr><th scope="row">{html.escape(question.title)}</th>'
            f'<td class="points {kind}">{points:g} of {question.points}</td><td>{message}</td></tr>'
        )
    table = f"<table><tr><th>Question</th><th>Points</th><th>Remarks</th></tr>{''.join(rows)}</table>"
    return _page(
        title, f"<p><strong>{total(grade):g} of {possible(submission.topic)} points.</strong></p>{table}{notes}"
    )


def _summary(graded, seed):
    parts = [f"<p>{len(graded)} submissions, graded with seed {seed}.</p>"]
    for topic in _topics(graded):
        grades = [grade for submission, grade in graded if submission.topic == topic and grade]
        if grades:
            parts.append(f"<h2>{topic.capitalize()}</h2>{_histogram(grades, topic)}{_missed(grades, topic)}")
    problems = [(submission, note) for submission, grade in graded for note in _all_notes(submission, grade)]
    problems += [
        (group[0], f"The code is the same, to the letter, as that of {_names(group[1:])}.") for group in _same(graded)
    ]
    if problems:
        rows = "".join(
            f"<tr><th scope='row'>{html.escape(submission.who)}</th><td>{html.escape(note)}</td></tr>"
            for submission, note in problems
        )
        parts.append(f"<h2>Remarks</h2><table>{rows}</table>")
    return _page("Class summary", "\n".join(parts))


def _same(graded):
    """Groups of submissions whose code is the same, where it earns anything: only the instructor is told."""
    groups = {}
    for submission, grade in graded:
        if grade and total(grade):
            groups.setdefault((submission.topic, submission.fingerprint), []).append(submission)
    return [group for group in groups.values() if len(group) > 1]


def _names(group):
    return ", ".join(submission.who for submission in group)


def _all_notes(submission, grade):
    late = ["It was handed in late."] if submission.late else []
    return late + submission.notes + (grade["notes"] if grade else [])


def _histogram(grades, topic):
    most = possible(topic)
    counts = [0] * 10
    for grade in grades:
        counts[min(int(10 * total(grade) / most), 9)] += 1
    # Points are whole but in contests, and these are shown in the bin that they have reached.
    ends = [f"{most * (k + 1) // 10 - 1}" for k in range(9)] + [f"{most}"]
    rows = "".join(
        f"<tr><th scope='row'>{most * k // 10} to {ends[k]}</th>"
        f"<td><span class='bar' style='width: {90 * count / max(counts):.0f}%'></span> {count or ''}</td></tr>"
        for k, count in reversed(list(enumerate(counts)))
    )
    mean = sum(map(total, grades)) / len(grades)
    notebooks = "1 notebook" if len(grades) == 1 else f"{len(grades)} notebooks"
    heading = f"<p>{notebooks}, {mean:.1f} of {most} points on average.</p>"
    return f"{heading}<table class='histogram'>{rows}</table>"


def _missed(grades, topic):
    """Questions by the share of their points that the class got, the lowest first."""
    shares = {
        name: sum(grade["points"][name] for grade in grades) / (question.points * len(grades))
        for name, question in exercises.questions(topic).items()
    }
    rows = "".join(
        f"<tr><th scope='row'>{html.escape(exercises.questions(topic)[name].title)}</th>"
        f"<td class='points'>{share:.0%} of the points</td></tr>"
        for name, share in sorted(shares.items(), key=lambda item: item[1])
    )
    return f"<h3>Most missed first</h3><table>{rows}</table>"
