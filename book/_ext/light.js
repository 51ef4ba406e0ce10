// What tells that there is a reader.
const SIGNS = ["keydown", "pointerdown", "pointermove", "scroll", "touchstart", "wheel"];

// Lays a long page out a section at a time, so that it answers sooner: of a page that opens at its top, what follows is laid
// out when the reader comes near or, from the first sign of one, when the browser has nothing else to do; and a widget is drawn
// when the reader comes near. To open at a place, by a link or once more, takes the whole page, and its widgets, which wait
// for the event.
{
  const root = document.documentElement;
  // A page may be busy for long: then it does not wait. Safari knows no idle time.
  const whenIdle = (work) => (window.requestIdleCallback ? requestIdleCallback(work, { timeout: 200 }) : setTimeout(work, 50));
  const layOutNext = () => {
    const section = document.querySelector("html[data-piecemeal] .bd-article > section > section:not(.laid-out)");
    if (!section) return root.removeAttribute("data-piecemeal");
    section.classList.add("laid-out");
    whenIdle(layOutNext);
  };

  const opened = performance.getEntriesByType("navigation")[0]?.type; // and not loaded again, or come back to
  if (opened === "navigate" && !location.hash) root.dataset.piecemeal = "waiting";
  const begun = new AbortController();
  const begin = () => {
    begun.abort();
    if (root.dataset.piecemeal) root.dataset.piecemeal = "begun";
    whenIdle(layOutNext);
  };
  window.addEventListener("load", () => {
    for (const sign of SIGNS) window.addEventListener(sign, begin, { signal: begun.signal, passive: true });
  });
  document.addEventListener("click", ({ target }) => {
    if (!target.closest("a[href^='#']")) return;
    root.removeAttribute("data-piecemeal");
    document.dispatchEvent(new Event("coursekit-whole"));
  }, { capture: true });
}

// Scripts for what a reader does to the page come with the first sign, too. A menu that is asked for before they are there opens
// then.
{
  const [loading, loaded] = [new AbortController(), new AbortController()];
  let asked = null;
  const load = () => {
    loading.abort();
    const scripts = [...document.querySelectorAll("script[type=later]")].map(({ src }) => (
      Object.assign(document.createElement("script"), { src, async: false })));
    scripts.at(-1).onload = () => {
      loaded.abort();
      asked?.click();
    };
    document.head.append(...scripts);
  };
  document.addEventListener("click", ({ target }) => {
    asked = target.closest("[data-bs-toggle='dropdown']");
  }, { capture: true, signal: loaded.signal });
  document.addEventListener("DOMContentLoaded", () => {
    for (const sign of [...SIGNS, "click"]) window.addEventListener(sign, load, { capture: true, signal: loading.signal, passive: true });
  });
}
