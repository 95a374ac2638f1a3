"""What every page must keep to, read from the page itself: a light accessibility check."""

from playwright.sync_api import Page

#: Returns sentences about what is wrong (WCAG 2.2: names, labels, structure, contrast, targets).
_CHECK = r"""() => {
  const wrong = [];
  const all = (selector) => [...document.querySelectorAll(selector)];
  const shown = (e) => e.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true });
  const text = (e) => (e.textContent || "").trim();
  const show = (e) => e.outerHTML.slice(0, 140).replace(/\s+/g, " ");
  const say = (what, found) => found.forEach((e) => wrong.push(`${what}: ${show(e)}`));
  const pictured = (e) => [...e.querySelectorAll("img[alt]")].some((i) => i.alt);
  const named = (e) => text(e) || e.getAttribute("aria-label") || e.title || pictured(e);

  if (!/^(fr|en)$/.test(document.documentElement.lang)) wrong.push("no language");
  if (!document.title.trim()) wrong.push("no title");
  if (all("h1").length !== 1) wrong.push(`${all("h1").length} h1`);
  if (all("main").length !== 1) wrong.push(`${all("main").length} main`);
  say("no alt", all("img:not([alt])"));
  say("no name", all("a[href], button, summary, [role=button]")
    .filter((e) => shown(e) && !named(e)));
  say("no label", all("input, select, textarea").filter((e) => e.type !== "hidden" && !e.ariaLabel
    && !e.getAttribute("aria-labelledby") && ![...(e.labels || [])].some((l) => text(l))));
  const ids = all("[id]").map((e) => e.id);
  const twice = ids.filter((id, at) => ids.indexOf(id) !== at);
  if (twice.length) wrong.push(`ids twice: ${twice}`);
  for (const name of ["for", "aria-labelledby", "aria-describedby", "aria-controls"]) {
    for (const e of all(`[${name}]`)) {
      for (const id of e.getAttribute(name).split(/\s+/)) {
        if (id && !document.getElementById(id)) wrong.push(`${name} of nothing: ${show(e)}`);
      }
    }
  }
  const levels = all("main :is(h1, h2, h3, h4)").filter(shown).map((e) => Number(e.tagName[1]));
  levels.forEach((level, at) => {
    if (at && level > levels[at - 1] + 1) wrong.push(`h${levels[at - 1]} before h${level}`);
  });
  if (innerWidth < 600) {
    say("small to touch", all("button, select, summary, a.button, nav a, input:not([type=hidden])")
      .filter((e) => shown(e) && !e.closest(".leaflet-container, .sr, .skip")
        && !["radio", "checkbox"].includes(e.type))
      .filter((e) => { const b = e.getBoundingClientRect(); return b.width && b.height < 40; }));
  }

  // Contrast (WCAG 1.4.3) of text on plain colours; over pictures nothing can be told from here.
  const rgba = (colour) => {
    const found = colour.match(/^rgba?\(([^)]+)\)$/);
    if (!found) return null;
    const [r, g, b, a = 1] = found[1].split(/[ ,/]+/).map(Number);
    return [r, g, b, a];
  };
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
  const over = (top, under) => [0, 1, 2].map((at) => top[at] * top[3] + under[at] * (1 - top[3]));
  const behind = (e) => {
    const layers = [];
    for (let at = e; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      const colour = rgba(style.backgroundColor);
      if (style.backgroundImage !== "none" || Number(style.opacity) < 1 || !colour) return null;
      if (colour[3]) layers.push(colour);
      if (colour[3] === 1) break;
    }
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255]);
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || seen.has(e) || !shown(e)) continue;
    seen.add(e);
    if (e.closest(".leaflet-container, noscript, option, :disabled, .sr, .skip, svg")) continue;
    const style = getComputedStyle(e);
    const ground = behind(e);
    const ink = rgba(style.color);
    if (!ground || !ink) continue;
    const [a, b] = [light(over(ink, ground)), light(ground)].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < (large ? 3 : 4.5)) wrong.push(`contrast ${ratio.toFixed(1)}: ${show(e)}`);
  }
  return wrong;
}"""


def faults(page: Page) -> list[str]:
    """Return what is wrong with the page as it is shown now."""
    found: list[str] = page.evaluate(_CHECK)
    return found
