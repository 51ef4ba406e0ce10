// Lets the keyboard scroll what is larger than its place: any box, until it is shown and its size is known. The browser
// tells of that, and of every other size later, when it has laid out the page anyway.
{
  const BOXES = "pre, div.math, .cell_output > .output, .cell_output figure > div, .pst-scrollable-table-container";
  const isLarger = (box) => box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight;
  const sizes = new ResizeObserver((entries) => {
    const shown = entries.filter(({ contentRect }) => contentRect.width).map(({ target }) => target);
    // First all are asked, and then they are marked: a box that is marked has to be laid out again to be asked.
    for (const [box, larger] of shown.map((box) => [box, isLarger(box)])) {
      if (larger) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  });
  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll(BOXES).forEach((box) => {
      box.tabIndex = 0;
      sizes.observe(box);
    });
  });
}
