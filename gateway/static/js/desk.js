// Helps at the desk: keyboard in the queue, ticking all, only the fields that a choice needs.
(function () {
  "use strict";

  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const one = (selector, from = document) => from.querySelector(selector);

  function queue(form) {
    const rows = all("tbody tr", form);
    const boxes = all("input[name=refs]", form);
    const whole = one("[data-tick-all]", form);
    const told = one("[data-ticked]", form);
    let at = -1;

    function count() {
      const ticked = boxes.filter((box) => box.checked).length;
      told.textContent = ticked ? `(${ticked})` : "";
      one(".bulk", form).classList.toggle("is-on", ticked > 0);
      whole.checked = ticked === boxes.length;
      whole.indeterminate = ticked > 0 && ticked < boxes.length;
    }
    function go(to) {
      if (to < 0 || to >= rows.length) return;
      if (at >= 0) rows[at].classList.remove("is-here");
      at = to;
      rows[at].classList.add("is-here");
      one("a", rows[at]).focus({ preventScroll: true });
      rows[at].scrollIntoView({ block: "nearest" });
    }
    const keys = {
      j: () => go(at + 1),
      k: () => go(at - 1),
      x: () => { if (at >= 0) { boxes[at].checked = !boxes[at].checked; count(); } },
      "/": () => one("#f-q").focus(),
    };
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input:not([type=checkbox]), select, textarea")) return;
      const act = keys[event.key];
      if (act) { event.preventDefault(); act(); }
    });
    whole.addEventListener("change", () => { boxes.forEach((box) => { box.checked = whole.checked; }); count(); });
    form.addEventListener("change", count);
    window.addEventListener("pageshow", count);
    count();
  }

  // Fields that only some choices need: data-for names actions, data-when a chosen status.
  function needed(form) {
    const value = () => {
      const data = new FormData(form);
      return String(data.get("action") || data.get("status") || "");
    };
    const show = () => all("[data-for], [data-when]", form).forEach((field) => {
      field.classList.toggle("is-on", (field.dataset.for || field.dataset.when).split(" ").includes(value()));
    });
    form.addEventListener("change", show);
    window.addEventListener("pageshow", show);
    show();
  }

  all("[data-queue]").forEach(queue);
  all("form").filter((form) => one("[data-for], [data-when]", form)).forEach(needed);
  all("[data-fill]").forEach((button) => button.addEventListener("click", () => {
    one(button.dataset.fill).value = button.dataset.value;
  }));
  const tab = one(".tabs [aria-current]");
  if (tab) tab.parentElement.scrollLeft = tab.offsetLeft - 16;
  // A menu closes when something else is chosen.
  document.addEventListener("click", (event) => all("details.menu[open]").forEach((menu) => {
    if (!menu.contains(event.target)) menu.open = false;
  }));
})();
// Campaigns: the rows of envelopes, what they leave, and quick entry.
(function () {
  "use strict";

  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const one = (selector, from = document) => from.querySelector(selector);
  const francs = (text) => Number(text.toUpperCase().replace(/\s|[.,]|F?CFA$|F$/g, "")) || 0;
  const spaced = (number, by = " ") => String(number).replace(/\B(?=(\d{3})+(?!\d))/g, by);

  function envelopes(box) {
    const rows = one("[data-rows]", box);
    const budget = one("[name=budget]", box);
    const rest = one("[data-rest]", box);
    const words = one("[data-rest-words]", rest);
    const chosen = () => one("[name=division]:checked", box).value;
    const kept = new Map();
    let before = chosen();

    const sums = () => all("[data-sum]", rows);
    const left = () => francs(budget.value) - sums().reduce((sum, field) => sum + francs(field.value), 0);
    function count() {
      const number = left();
      rest.classList.toggle("over", number < 0);
      words.textContent = number < 0 ? words.dataset.over : words.dataset.left;
      one("[data-rest-sum]", rest).textContent = `${spaced(Math.abs(number), "\u202f")}\u202fF\u202fCFA`;
      one("[data-rows-box]", box).hidden = chosen() === "one";
    }
    function number() {
      all("[data-env]", rows).forEach((row, at) => all("[name]", row).forEach((field) => {
        field.name = field.name.replace(/\d+$/, at + 1);
      }));
      count();
    }
    function divide() {
      kept.set(before, [...rows.children]);
      before = chosen();
      rows.replaceChildren(...(kept.get(before) || one(`[data-preset=${before}]`, box).content.cloneNode(true).children));
      number();
    }
    box.addEventListener("input", count);
    all("[name=division]", box).forEach((choice) => choice.addEventListener("change", divide));
    box.addEventListener("change", ({ target }) => {
      if (target === budget || target.matches("[data-sum]")) { const sum = francs(target.value); if (sum) target.value = spaced(sum); }
    });
    one("[data-add-row]", box).addEventListener("click", (event) => {
      event.preventDefault();
      if (rows.children.length >= Number(box.dataset.most)) return;
      rows.append(one("[data-blank]", box).content.cloneNode(true));
      number();
      one("input", rows.lastElementChild).focus();
    });
    rows.addEventListener("click", (event) => {
      const button = event.target.closest("[data-remove]");
      if (!button) return;
      const row = button.closest("[data-env]");
      const next = row.nextElementSibling || row.previousElementSibling;
      row.remove();
      number();
      (next ? one("input", next) : one("[data-add-row]", box)).focus();
    });
    // As the server does it: whole thousands, the first takes the odd francs; half stays for all.
    one("[data-share]", box).addEventListener("click", (event) => {
      event.preventDefault();
      const empty = sums().filter((field) => !field.value.trim());
      const half = chosen() === "both" ? Math.floor(francs(budget.value) / 2) : 0;
      const pot = left() - half;
      const part = empty.length ? Math.floor(pot / empty.length / 1000) * 1000 : 0;
      if (part <= 0) return;
      empty.forEach((field, at) => { field.value = spaced(part + (at === 0 && !half ? pot - part * empty.length : 0)); });
      count();
    });
    window.addEventListener("pageshow", count);
    count();
  }

  // Entering many: the first field has the keyboard, who signed is asked only of paper.
  function quick(form) {
    const forum = one("select[name=forum]", form);
    const signed = one("[data-unless-forum]", form);
    const show = () => { signed.hidden = Boolean(forum && forum.value); };
    if (forum) forum.addEventListener("change", show);
    show();
    if (!one("[role=alert]")) one("[name=title]", form).focus({ preventScroll: true });
  }

  all("[data-envelopes]").forEach(envelopes);
  all("[data-quick]").forEach(quick);
})();
