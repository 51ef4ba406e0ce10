// Draws the course's widgets on a static page: no kernel, no request to another host.
// Each is a <div class="coursekit-widget" data-widget="quiz" data-state='{…}'>; its module, ./quiz.js, is the file that
// Jupyter runs too. What the div holds before is for readers without JavaScript.

// The part of anywidget's model that a module may use, over a plain object.
function plainModel(state) {
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
}

async function draw(el) {
  const { default: widget } = await import(`./${el.dataset.widget}.js`);
  const model = plainModel(JSON.parse(el.dataset.state));
  el.replaceChildren();
  widget.render({ model, el });
}

document.querySelectorAll(".coursekit-widget[data-widget]").forEach(draw);
