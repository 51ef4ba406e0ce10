"""Make slides of the chapters of the built site, a deck each: `python tools/slides.py HTML`.

A deck has what a chapter shows, and says little: its widgets, figures, questions, formulas, short code, the cards of
its claims, and in the end what to take away. The answer to a question comes with the next key. The prose stands in the
notes of the slide that it leads to, or follows.
"""

import copy
import html
import itertools
import json
import re
import shutil
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import jinja2
from bs4 import BeautifulSoup

from coursekit import cards, claims
from coursekit.widgets.quiz import with_code

SOURCES = Path(__file__).parents[1] / "book" / "_slides"
REVEAL = Path(find_spec("sphinx_revealjs").origin).parent / "_static" / "revealjs"
REVEAL_USED = ("dist/reveal.css", "dist/reveal.js", "plugin/notes/notes.js", "LICENSE")
CHAPTERS = "[0-9]*-*.html"
# What a cell shows, and what of the rest is prose. The panel of "your turn" needs a kernel.
EXHIBITS = {
    '[data-widget="quiz"]': "question",
    '[data-widget]:not([data-widget="quiz"], [data-widget="your_turn"])': "widget",
    "figure": "figure",
    ".claim-card": "card",
    ".claim-forest": "verdicts",
    ".tag_show-input > .cell_input": "code",
}
PROSE = "p:not(.waits-bar, .run-info), ul, ol, dl, blockquote, table, .admonition"
TAKE_AWAY = "what-to-take-away"
MOST_LINES = 18  # of code, that fit a slide
ANSWER = ' class="fragment custom right" data-fragment-index="0"'
DRAWING, BARE = re.compile(r"<svg .*?</svg>", re.DOTALL), re.compile(r"<svg>(\d+)</svg>")
USED = re.compile("widgets")  # of a page's scripts
SENTENCES = re.compile(r"(?<=[.?!])\s+(?=[A-Z<\\])")


def make(site):
    """Write `slides/NAME.html` for each chapter of the site in a folder."""
    template = jinja2.Template((SOURCES / "deck.html").read_text("utf-8"))
    static, decks = site / "_static" / "slides", site / "slides"
    for folder in (static, decks):
        folder.mkdir(exist_ok=True)
    for file in (*(REVEAL / name for name in REVEAL_USED), SOURCES / "deck.css", SOURCES / "deck.js"):
        shutil.copy(file, static)
    stated, measured = claims.load(), claims.verify()
    for chapter in sorted(site.glob(CHAPTERS)):
        text, put_back = without_drawings(chapter.read_text("utf-8"))
        page = BeautifulSoup(text, "html.parser")
        lead_out(page, chapter.name)
        deck = Deck(page.select_one("article.bd-article"), stated, measured)
        course = page.select_one('meta[property="og:site_name"]')["content"]
        scripts = [script for script in page.select("script") if USED.search(str(script))]
        text = template.render(vars(deck), course=course, chapter=chapter.name, scripts=scripts)
        (decks / chapter.name).write_text(put_back(text), "utf-8")


def without_drawings(text):
    """Take the drawings, most of a page, out of it. Returns what is left, and a function that puts them back."""
    drawings, numbers = DRAWING.findall(text), itertools.count()
    bare = DRAWING.sub(lambda _: f"<svg>{next(numbers)}</svg>", text)
    return bare, lambda made: BARE.sub(lambda found: drawings[int(found[1])], made)


def lead_out(page, name):
    """Let what a page leads to and loads be found from the folder of the decks."""
    for headerlink in page.select(".headerlink"):
        headerlink.decompose()
    for link in page.select("a[href]"):
        if not re.match(r"[a-z]+:", link["href"]):
            link["href"] = f"../{name if link['href'].startswith('#') else ''}{link['href']}"
    for element in page.select("[src^=_images], [src^=_static]"):
        element["src"] = f"../{element['src']}"
        del element["loading"]  # a slide that comes is to be there


def parts(parent):
    """The parts of an article in their order: pairs of a kind, which `Deck` has a method for, and an element."""
    for element in parent.find_all(True, recursive=False):
        classes = element.get("class", ())
        if element.name in ("h1", "h2", "h3"):
            yield "heading", element
        elif "cell" in classes:
            for exhibit in element.select(", ".join(EXHIBITS)):
                yield next(kind for selector, kind in EXHIBITS.items() if exhibit.css.match(selector)), exhibit
        elif "math" in classes:
            yield "formula", element
        elif element.name == "section" or "container" in classes:
            yield from parts(element)
        elif element.css.match(PROSE):
            yield "prose", element


class Deck:
    """The slides of a chapter: `title`, `opening`, and `columns`, a list of slides for each section."""

    def __init__(self, article, stated, measured):
        self.stated, self.measured = stated, measured
        self.title = self.opening = self.section = None
        self.columns = [[]]
        self.last = None  # slide of this section
        self.waiting = []  # prose for the notes of the next slide
        self.names = Counter()
        for kind, element in parts(article):
            getattr(self, kind)(element)
        self.columns = [column for column in self.columns if column]

    def add(self, kind, name, body, *notes, heading=None):
        self.names[name] += 1
        number = self.names[name]
        self.last = SimpleNamespace(
            kind=kind,
            name=name if number == 1 and kind not in ("formula", "code") else f"{name}-{number}",
            heading=heading or self.section.decode_contents(),
            section=self.section.parent.get("id"),
            body=body,
            notes=[*map(as_note, self.waiting), *notes],
        )
        self.waiting = []
        self.columns[-1].append(self.last)

    def heading(self, heading):
        if heading.name == "h2":
            self.columns.append([])
        self.title = self.title or heading.decode_contents()
        self.section, self.last = heading, None

    def prose(self, element):
        if self.opening is None:
            self.opening = element.decode_contents()
        elif element.name == "ul" and self.section.parent["id"] == TAKE_AWAY:
            first = [sentences(item.p)[0] for item in element.find_all("li", recursive=False)]
            self.add("take-away", TAKE_AWAY, listed(first), as_note(element))
        elif self.last and not leads_on(element):
            self.last.notes.append(as_note(element))
        else:
            self.waiting.append(element)

    def formula(self, element):
        """A formula that no sentence leads to stands with the one before it."""
        lead = sentences(self.waiting[-1])[-1] if self.waiting and leads_on(self.waiting[-1]) else ""
        if self.last and self.last.kind == "formula" and not lead:
            self.last.body += str(element)
        else:
            self.add("formula", "formula", f"<p>{lead}</p>{element}")

    def question(self, element):
        """The choices with letters, for a show of hands; the answer comes with the next key."""
        asked = json.loads(element["data-state"])
        (right,) = [choice for choice in asked["choices"] if choice.get("correct")]
        items, why = [], []
        for choice in asked["choices"]:
            text = with_code(choice["text"])
            items.append(f"<li{ANSWER if choice is right else ''}>{text}</li>")
            why.append(f"{text} <em>{with_code(choice['explanation'])}</em>")
        body = f'<p class="asks">{with_code(asked["question"])}</p><ol type="A">{"".join(items)}</ol>'
        body += f'<p class="fragment" data-fragment-index="0">{with_code(right["explanation"])}</p>'
        self.add("question", f"question-{asked['key']}", body, listed(why))

    def widget(self, element):
        """The one that opens a chapter answers the question of the first paragraph."""
        asked = [sentence for sentence in sentences(self.opening) if sentence.endswith("?")]
        heading = asked[0] if self.section.name == "h1" else None
        self.add("widget", element["data-widget"], element, heading=heading)

    def figure(self, element):
        caption = element.figcaption
        said = caption.decode_contents()
        caption.clear()
        caption.append(BeautifulSoup(sentences(said)[0], "html.parser"))
        self.add("figure", element.attrs.pop("id"), element, f"<p>{said}</p>")

    def card(self, element):
        """A claim with the comparison on which its verdict hangs, for each data set. The others are told."""
        name = element.parent["id"].removeprefix("measured-")
        claim, (verdict, data_sets) = self.stated[name], claims.judged(name, self.measured)
        decided = {title: (own, [cards.deciding(of_data)]) for title, (own, of_data) in data_sets.items()}
        drawn = BeautifulSoup(cards.card(claim, verdict, decided), "html.parser").div
        told = [str(paragraph.extract()) for paragraph in drawn.find_all("p", recursive=False)]
        rows = [
            f"{title}: {cards.relation(one)}, {one.in_words}"
            for title, (_, of_data) in data_sets.items()
            for one in of_data
        ]
        self.add("card", element.parent["id"], drawn, *told, listed(map(html.escape, rows)))

    def verdicts(self, element):
        counted = Counter(stamp.get_text() for stamp in element.select("td > .verdict"))
        lines = [f"<b>{counted[verdict]}</b> {cards.stamp(verdict)}" for verdict in claims.VERDICTS if counted[verdict]]
        self.add("verdicts", "verdicts", listed(lines))

    def code(self, element):
        if len(element.get_text().strip().splitlines()) <= MOST_LINES:
            self.add("code", "code", element.select_one(".highlight"))


def leads_on(element):
    """Whether a paragraph leads to what comes after it: it ends in a colon, or amid a sentence."""
    return element.name == "p" and element.get_text().rstrip()[-1] not in ".?!)"


def sentences(markup):
    text = markup if isinstance(markup, str) else markup.decode_contents()
    return SENTENCES.split(text.strip())


def listed(items):
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>"


def as_note(element):
    """Prose for the speaker's window, which draws no maths."""
    element = copy.copy(element)
    for math in element.select(".math"):
        math.replace_with(math.annotation.get_text())
    return str(element)


if __name__ == "__main__":
    built = Path(sys.argv[1])
    if not any(built.glob(CHAPTERS)):
        print(f"There is no chapter in {built}: build the site first, with `make book`.", file=sys.stderr)
        sys.exit(2)
    make(built)
