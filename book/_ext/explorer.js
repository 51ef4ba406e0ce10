// The ledger's rows: filtered, searched and sorted. The view is in the address, so that it can be shared.
{
  document.documentElement.dataset.explorer = ""; // at once: the style sheet keeps room for the controls

  const explore = () => {
    const form = document.querySelector(".claim-controls");
    const list = document.querySelector(".claim-rows");
    const rows = [...list.children]; // in the order of the lecture
    const { words, order, ...facets } = Object.fromEntries(
      [...form.querySelectorAll("[name]")].map((field) => [field.name, field]));
    const fields = [words, order, ...Object.values(facets)];
    const count = form.querySelector("output");

    const text = (row) => `${row.querySelector(".statement").textContent} ${row.querySelector("[id]").id}`.toLowerCase();
    const fits = (row) =>
      Object.values(facets).every(({ name, value }) => !value || row.dataset[name].split("|").includes(value))
      && words.value.toLowerCase().split(/\s+/).every((word) => !word || text(row).includes(word));
    const key = (row) => (order.value ? -row.dataset[order.value] : 0);

    const draw = () => {
      rows.forEach((row) => { row.hidden = !fits(row); });
      const sorted = [...rows].sort((one, other) => key(one) - key(other));
      if (sorted.some((row, at) => row !== list.children[at])) list.append(...sorted);
      const shown = rows.filter((row) => !row.hidden).length;
      count.textContent = `${shown ? "" : "No claim fits: "}${shown} of ${rows.length} shown`;
    };
    const choose = () => {
      draw();
      const view = new URLSearchParams(fields.filter(({ value }) => value).map(({ name, value }) => [name, value])).toString();
      history.replaceState(null, "", view ? `?${view}` : location.pathname);
    };
    const reset = () => {
      form.reset();
      choose();
    };
    const openTarget = () => {
      const row = document.getElementById(decodeURIComponent(location.hash.slice(1)))?.closest(".claim-rows > li");
      if (!row) return;
      if (row.hidden) {
        form.reset();
        draw();
        history.replaceState(null, "", location.pathname + location.hash);
      }
      row.firstElementChild.open = true;
      row.scrollIntoView();
    };

    const view = new URLSearchParams(location.search);
    fields.filter(({ name }) => view.has(name)).forEach((field) => {
      field.value = view.get(field.name);
      field.value ||= ""; // a choice that there is no more
    });
    form.addEventListener("input", choose);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.querySelector("button").addEventListener("click", reset);
    window.addEventListener("hashchange", openTarget);
    if (location.search) draw(); // the page comes with all rows
    openTarget();
  };
  document.addEventListener("DOMContentLoaded", explore);
}
