// Draws the course's widgets on a static page: no kernel, no request to another host. Each is a
// <div class="coursekit-widget" data-widget="quiz" data-state='{…}'>; what the div holds before is for readers without
// JavaScript. Scripts before this one have put into WIDGETS the modules of the page's widgets, which Jupyter runs too, as
// text, because browsers load no module files for a page that was opened from the disk. For the same reason a long state is
// a script, too, which puts it into STATES by its name.
{
  // The part of anywidget's model that a module may use, over a plain object.
  const plainModel = (state) => {
    const listeners = {};
    return {
      get: (name) => state[name],
      set(name, value) {
        state[name] = value;
        listeners[`change:${name}`]?.forEach((listener) => listener());
      },
      on: (event, listener) => (listeners[event] ??= []).push(listener),
      save_changes() {},
    };
  };

  const here = document.currentScript.src;
  const stateIn = async (name) => {
    const src = new URL(`widgets/${name}`, here);
    await new Promise((done, failed) => {
      document.head.append(Object.assign(document.createElement("script"), { src, onload: done, onerror: failed }));
    });
    return STATES[name];
  };

  const waiting = new Set(document.querySelectorAll(".coursekit-widget[data-widget]"));
  const draw = async (el) => {
    if (!waiting.delete(el)) return;
    const source = WIDGETS[el.dataset.widget];
    const { default: widget } = await import(`data:text/javascript;charset=utf-8,${encodeURIComponent(source)}`);
    const model = plainModel(el.dataset.state ? JSON.parse(el.dataset.state) : await stateIn(el.dataset.stateIn));
    el.replaceChildren();
    widget.render({ model, el });
  };
  // They take more room than what was in their place, so that what a link leads to moves: the page goes there once more when
  // all is there, unless the reader has gone on.
  let gone = false;
  for (const kind of ["wheel", "touchmove", "keydown"]) addEventListener(kind, () => { gone = true; }, { passive: true });
  const loaded = new Promise((done) => (document.readyState === "complete" ? done() : addEventListener("load", done)));
  const drawAll = async () => {
    if (!waiting.size) return;
    await Promise.all([...[...waiting].map(draw), loaded, document.fonts.ready]);
    if (!gone) document.querySelector(":target")?.scrollIntoView();
  };

  // On a page that is laid out bit by bit, a widget is drawn when the reader is a screen away from it.
  const near = new IntersectionObserver(
    (entries) => entries.forEach(({ target, isIntersecting }) => isIntersecting && draw(target)), { rootMargin: "100%" });
  if (document.documentElement.hasAttribute("data-piecemeal")) waiting.forEach((el) => near.observe(el));
  else drawAll();
  document.addEventListener("coursekit-whole", () => {
    gone = false; // by a link
    drawAll();
  });
}
