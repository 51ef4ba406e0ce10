// The search: the sections that fit, with their place in the page, while the reader types. tools/search_index.py writes
// what it searches. From the disk, and without that index, the page of the search shows what the theme finds.
{
  const MOST_PAGES = 10, MOST_SECTIONS = 3;
  // A chapter says what a word means, an exercise asks, and titles of papers name it.
  const WEIGHTS = [[/^\d/, 3], [/^(exercises\/|references)/, 0.5]];
  const NO_INDEX = "The list of sections is not here, as on a page opened from the disk: ";

  const address = (path) => new URL(document.documentElement.dataset.content_root + path, document.baseURI).href;

  let engine;
  const load = () => (engine ??= location.protocol === "file:"
    ? Promise.resolve(null)
    : import(address("pagefind/pagefind.js")).catch(() => null));

  const element = (tag, attributes, ...children) => {
    const node = Object.assign(document.createElement(tag), attributes);
    node.append(...children);
    return node;
  };

  const weighted = async (result) => {
    const page = await result.data();
    const path = page.url.slice(new URL(address("")).pathname.length);
    return { ...page, score: WEIGHTS.reduce((score, [which, weight]) => score * (which.test(path) ? weight : 1), result.score) };
  };

  // Pages, or null where the reader has typed on.
  const find = async (pagefind, words) => {
    const search = await pagefind.debouncedSearch(words);
    if (!search) return null;
    const pages = await Promise.all(search.results.map(weighted));
    return pages.sort((one, other) => other.score - one.score).slice(0, MOST_PAGES);
  };

  // The excerpts are HTML of Pagefind: text with marks.
  const drawn = (page) => {
    const best = [...page.sub_results].sort((one, other) => weight(other) - weight(one)).slice(0, MOST_SECTIONS);
    return element("li", {}, element("a", { className: "page", href: page.url, textContent: page.meta.title }), element("ul", {},
      ...best.map((section) => element("li", {},
        element("a", { href: section.url, textContent: section.title }),
        element("p", { innerHTML: section.excerpt })))));
  };
  const weight = (section) => section.weighted_locations.reduce((sum, { balanced_score: score }) => sum + score, 0);

  const attach = (form, place, without) => {
    const input = form.querySelector("input");
    let asked = 0;
    const show = async () => {
      const mine = (asked += 1);
      const words = input.value.trim();
      const pagefind = await load();
      if (!pagefind) return without(place);
      const pages = words ? await find(pagefind, words) : [];
      if (!pages || mine !== asked) return;
      const count = pages.length ? `${pages.length} ${pages.length === 1 ? "page" : "pages"}` : "Nothing found";
      place.replaceChildren(...(words ? [element("p", { role: "status", textContent: count })] : []),
        element("ol", { className: "found" }, ...pages.map(drawn)));
    };
    input.addEventListener("focus", load);
    input.addEventListener("input", show);
    return show;
  };

  // The dialog, which the theme opens, over a page.
  const dialog = document.getElementById("pst-search-dialog");
  const below = element("div", { className: "found-below" });
  dialog.append(below);
  attach(dialog.querySelector("form"), below, (place) => { place.textContent = `${NO_INDEX}press Enter for a search of pages.`; });

  // The page of the search, which the dialog's form leads to.
  const place = document.getElementById("search-results");
  const themes = async () => {
    place.before(element("p", { textContent: `${NO_INDEX}these are the pages that have the words.` }));
    for (const path of ["_static/language_data.js", "_static/searchtools.js", "searchindex.js"]) {
      await new Promise((resolve) => document.head.append(element("script", { src: address(path), onload: resolve })));
    }
  };
  if (place) {
    const form = document.querySelector(".bd-search-container form");
    let once;
    const show = attach(form, place, () => (once ??= themes()));
    form.querySelector("input").value = new URLSearchParams(location.search).get("q") ?? "";
    if (form.querySelector("input").value) show();
  }
}
