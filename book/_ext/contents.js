// Marks in the contents beside a page the section that is read, which is the one at two fifths of the screen, and scrolls them
// to it where they are longer than the screen.
document.addEventListener("DOMContentLoaded", () => {
  const links = [...document.querySelectorAll(".page-toc a[href^='#']")];
  const linkTo = new Map(links.map((link) => [document.getElementById(decodeURIComponent(link.hash.slice(1))), link]));
  const show = (link) => {
    const column = link.closest(".bd-sidebar-secondary");
    const [of, own] = [column.getBoundingClientRect(), link.getBoundingClientRect()];
    if (own.top < of.top || own.bottom > Math.min(of.bottom, innerHeight)) {
      column.scrollTop += own.top - of.top - column.clientHeight / 2;
    }
  };
  const reading = new IntersectionObserver((entries) => {
    entries.forEach(({ target, isIntersecting }) => linkTo.get(target).classList.toggle("active", isIntersecting));
    const innermost = links.filter((link) => link.classList.contains("active")).at(-1);
    if (innermost) show(innermost);
  }, { rootMargin: "-40% 0px -60% 0px" });
  linkTo.forEach((_, section) => section && reading.observe(section));
});
