// Starts a deck: reveal.js, with the theme that the reader of the site has chosen, and keys that leave the widgets theirs.
{
  const root = document.documentElement;
  const chosen = () => {
    try { return localStorage.getItem("mode"); } catch { return null; } // where the site's theme keeps it
  };
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const printed = new URLSearchParams(location.search).has("print-pdf"); // paper is white
  root.dataset.theme = printed ? "light" : ["light", "dark"].includes(chosen()) ? chosen() : dark ? "dark" : "light";

  // A widget that has the focus gets all keys but those of a presenter's remote control. A button of it gets those that
  // press it: whoever has pressed Run goes on with the arrows.
  const PAGES = ["PageUp", "PageDown"];
  const PRESS = [" ", "Enter"];
  const isOfWidget = ({ key, target }) => {
    if (!target.closest(".coursekit-widget, a, [tabindex]") || PAGES.includes(key)) return false;
    return target.matches("button, a, summary") ? PRESS.includes(key) : true;
  };
  // reveal.js itself leaves all keys to an input that has the focus, and knows the question mark by its American key.
  document.addEventListener("keydown", ({ key }) => {
    if ([...PAGES, "Escape"].includes(key)) document.activeElement.blur();
    if (key === "?") Reveal.toggleHelp();
  }, { capture: true });
  document.querySelectorAll(".coursekit-widget").forEach((widget) => widget.setAttribute("data-prevent-swipe", ""));

  Reveal.initialize({
    width: 1280, height: 720, margin: 0, maxScale: 4, center: false, controls: false, display: "flex",
    transition: "none", viewDistance: 1000, // nothing moves, and every slide is there
    hash: true, navigationMode: "linear", slideNumber: "c/t", pdfSeparateFragments: false, pdfMaxPagesPerSlide: 1,
    keyboardCondition: (event) => event.key !== "?" && !isOfWidget(event),
    plugins: [RevealNotes],
  });
  Reveal.addKeyBinding({ keyCode: 68, key: "D", description: "Light or dark" }, () => {
    root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
  });
}
