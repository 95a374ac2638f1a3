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
