// Scrolls the contents beside a page, where they are longer than the screen, to the section that is read.
document.addEventListener("activate.bs.scrollspy", () => {
  const entry = [...document.querySelectorAll(".page-toc a.active")].at(-1);
  const column = entry?.closest(".bd-sidebar-secondary");
  if (!column) return;
  const [of, own] = [column.getBoundingClientRect(), entry.getBoundingClientRect()];
  if (own.top < of.top || own.bottom > Math.min(of.bottom, innerHeight)) {
    column.scrollTop += own.top - of.top - column.clientHeight / 2;
  }
});
