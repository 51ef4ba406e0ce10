"""What Axe finds on a page: nothing, is what every page is tested for."""

from axe_playwright_python.sync_playwright import Axe

# Marks one element of visible text for all that are alike in what contrast hangs on, up to the root of the page.
MARK_TEXT = """() => {
  const looks = new Map();
  const look = (element) => {
    if (!element) return "";
    if (!looks.has(element)) {
      const { backgroundColor, backgroundImage, opacity, position } = getComputedStyle(element);
      const placed = position === "static" ? "" : `${position} ${element.className}`;
      looks.set(element, `${look(element.parentElement)}/${backgroundColor} ${backgroundImage} ${opacity} ${placed}`);
    }
    return looks.get(element);
  };
  const seen = new Set();
  for (const element of document.body.querySelectorAll("*")) {
    const isText = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    if (!isText || !element.checkVisibility({ visibilityProperty: true })) continue;
    const { color, fontSize, fontWeight, textShadow } = getComputedStyle(element);
    const sort = `${look(element)} ${color} ${fontSize} ${fontWeight} ${textShadow}`;
    element.toggleAttribute("data-sort-of-text", !seen.has(sort));
    seen.add(sort);
  }
}"""


def violations(page, **options):
    """Return pairs of a rule that a page breaks and the element that does, by the rules of Axe.

    It takes most of its time for contrast, element by element, so it gets one of each sort of text. A rule on which it
    gives up would pass for one that holds, so it may not.
    """
    page.evaluate(Axe().axe_script)
    page.evaluate(MARK_TEXT)
    page.evaluate("axe.configure({ rules: [{ id: 'color-contrast', selector: '[data-sort-of-text]' }] })")
    found = page.evaluate("(options) => axe.run(options)", {"resultTypes": ["violations", "incomplete"], **options})
    given_up = [rule["error"]["message"] for rule in found["incomplete"] if "error" in rule]
    if given_up:
        raise AssertionError(f"Axe has given up: {', '.join(given_up)}")
    return [(rule["id"], node["html"]) for rule in found["violations"] for node in rule["nodes"]]
