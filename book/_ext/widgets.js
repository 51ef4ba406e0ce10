// Draws the course's widgets on a static page: no kernel, no request to another host. Each is a
// <div class="coursekit-widget" data-widget="quiz" data-state='{…}'>; what the div holds before is for readers without
// JavaScript. Scripts before this one have put into WIDGETS the modules of the page's widgets, which Jupyter runs too, as
// text, because browsers load no module files for a page that was opened from the disk. A widget is drawn when the reader
// is a screen away from it.
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

  const draw = async (el) => {
    const source = WIDGETS[el.dataset.widget];
    const { default: widget } = await import(`data:text/javascript;charset=utf-8,${encodeURIComponent(source)}`);
    const model = plainModel(JSON.parse(el.dataset.state));
    el.replaceChildren();
    widget.render({ model, el });
  };

  const near = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      draw(target);
    }
  }, { rootMargin: "100%" });
  document.querySelectorAll(".coursekit-widget[data-widget]").forEach((el) => near.observe(el));
}
