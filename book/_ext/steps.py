"""A passage whose text drives its figure: a picture that stays in sight while the steps beside it go by.

In a notebook a step is text and below it a cell with a figure and the tag ``step``; steps follow each other. On a wide
screen the script shows the picture of the step that is read. Elsewhere, in print and without JavaScript each picture
stands below its text.
"""

from docutils import nodes
from story import tags_of


def frame_steps(app, doctree):
    """Put each run of steps into a frame."""
    for section in list(doctree.findall(nodes.section)):
        if any(map(is_picture, section.children)):
            children = framed(section.children)
            section.clear()
            section.extend(children)


def is_picture(node):
    return node.get("nb_element") == "cell_code" and "step" in tags_of(node)


def framed(children):
    """Return the children of a section, with each run of texts and pictures in a frame."""
    found, steps, text = [], [], []
    for node in children:
        if isinstance(node, nodes.paragraph):
            text.append(node)
        elif is_picture(node):
            steps.append(nodes.container("", nodes.container("", *text), node, classes=["step"]))
            text = []
        else:
            found += [*frame(steps), *text, node]
            steps, text = [], []
    return [*found, *frame(steps), *text]


def frame(steps):
    return [nodes.container("", *steps, classes=["steps"])] if steps else []


def setup(app):
    app.connect("doctree-read", frame_steps)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
