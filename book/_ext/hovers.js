// Shows what a link says of what it leads to, while the pointer is on it or the keyboard has come to it.
{
  const note = document.createElement("div");
  Object.assign(note, { id: "hover-note", className: "hover-note", hidden: true });
  note.setAttribute("role", "tooltip");
  const GAP = 6; // pixels, over which the pointer may come to the note
  const WAIT = 150; // milliseconds that it has for that
  let [link, leaving] = [null, 0];

  const show = (target) => {
    clearTimeout(leaving);
    if (target === link) return;
    hide();
    link = target;
    note.textContent = link.dataset.hover;
    note.hidden = false;
    link.setAttribute("aria-describedby", note.id);
    const [of, own] = [link.getClientRects()[0], note.getBoundingClientRect()];
    const below = of.bottom + GAP + own.height < innerHeight;
    note.style.left = `${scrollX + Math.max(GAP, Math.min(of.left, document.documentElement.clientWidth - own.width - GAP))}px`;
    note.style.top = `${scrollY + (below ? of.bottom + GAP : of.top - GAP - own.height)}px`;
  };
  const hide = () => {
    link?.removeAttribute("aria-describedby");
    link = null;
    note.hidden = true;
  };
  const of = ({ target }) => target.closest?.("a[data-hover]");

  document.addEventListener("pointerover", (event) => {
    if (event.pointerType === "touch") return; // a finger follows the link
    if (of(event)) show(of(event));
    else if (note.contains(event.target)) clearTimeout(leaving);
    else if (link && document.activeElement !== link) {
      clearTimeout(leaving);
      leaving = setTimeout(hide, WAIT);
    }
  });
  document.addEventListener("focusin", (event) => (of(event) && event.target.matches(":focus-visible") ? show(of(event)) : hide()));
  document.addEventListener("focusout", hide);
  document.addEventListener("keydown", ({ key }) => { if (key === "Escape") hide(); });
  document.addEventListener("DOMContentLoaded", () => document.body.append(note));
}
