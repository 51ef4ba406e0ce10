"""Make coursekit/widgets/gan_playground.png, what readers without JavaScript see: `python tools/make_still.py`.

It opens the widget in Chromium, lets it train for about a thousand steps, and takes the picture.
"""

import io
import sys
from pathlib import Path

import needs
from PIL import Image
from playwright.sync_api import sync_playwright

from coursekit.widgets.base import FOLDER

ROOT = Path(__file__).parents[1]
COLORS = 64  # of few areas and lines: a quarter of the bytes, and no color is far off
PAGE = """<!doctype html><div class="coursekit-widget" data-widget="gan_playground" data-state='{"seed": 0}'></div>"""


def main():
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    import offline

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=needs.chromium(), args=needs.CHROMIUM_FLAGS)
        page = browser.new_page(viewport={"width": 700, "height": 1200})
        page.set_content(PAGE)
        page.add_style_tag(path=FOLDER / "widgets.css")
        page.add_script_tag(content=offline.widgets_script())
        page.get_by_role("button", name="Run").click()
        page.wait_for_function("/trained \\d{4}/.test(document.body.textContent)")
        page.get_by_role("button", name="Pause").click()
        taken = Image.open(io.BytesIO(page.locator(".ck-field").screenshot()))
        taken.convert("RGB").quantize(COLORS, Image.Quantize.MAXCOVERAGE, kmeans=3).save(
            FOLDER / "gan_playground.png", optimize=True
        )
        print(page.get_by_role("status").inner_text())


if __name__ == "__main__":
    main()
