// Helps of the form that proposes a project: an estimate that adds up while one types, and what is
// like it already. The form works without any of it.
(function () {
  "use strict";

  const one = (selector, from = document) => from.querySelector(selector);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const MOST_LINES = 20;

  // ---- the estimate --------------------------------------------------------------------------

  function estimate(box) {
    const form = box.closest("form");
    const field = one("[name=estimated_cost]", form);
    const computed = one("[name=computed]", form);
    const lines = one("[data-lines]", box);
    const number = new Intl.NumberFormat(box.dataset.locale);
    const money = (amount) => `${number.format(amount).replace(/[\s,]/g, "\u202f")}\u202fF\u202fCFA`;
    const digits = (text) => text.replace(/\D/g, "");

    function totalOf(line) {
      const chosen = one("select", line).selectedOptions[0];
      const many = digits(one("input", line).value);
      return Number(chosen.dataset.cost || 0) * Number(many);
    }
    function count() {
      let sum = 0;
      for (const line of all("[data-line]", lines)) {
        const total = totalOf(line);
        sum += total;
        one("[data-total]", line).textContent = total ? money(total) : "";
      }
      one("[data-sum]", box).textContent = money(sum);
      // The amount follows the lines until somebody writes another one.
      const typed = digits(field.value);
      if (sum && (!typed || typed === computed.value)) {
        field.value = number.format(sum).replace(/[\s,]/g, " ");
        computed.value = String(sum);
      }
    }
    one("[data-add-line]", box).addEventListener("click", (event) => {
      event.preventDefault();
      const last = all("[data-line]", lines).pop();
      const next = all("[data-line]", lines).length + 1;
      if (next > MOST_LINES) return;
      const line = last.cloneNode(true);
      for (const part of all("select, input", line)) {
        part.name = part.name.replace(/\d+$/, String(next));
        part.value = "";
      }
      for (const said of all(".sr", line)) said.textContent = said.textContent.replace(/\d+/, String(next));
      one("[data-total]", line).textContent = "";
      lines.append(line);
      one("select", line).focus();
    });
    box.addEventListener("input", count);
    box.addEventListener("change", count);
    if (all("select", lines).some((s) => s.value)) { box.open = true; count(); }
  }

  // ---- what is like it already ---------------------------------------------------------------

  function similar(form) {
    const box = one("[data-similar-box]", form);
    if (!box) return;
    const title = one("[name=title]", form);
    let asked = "";
    let asking = null;

    async function look() {
      const words = title.value.trim();
      if (words.length < 4 || words === asked) return;
      asked = words;
      // Shown here, beside the title: the step between would only say it again.
      one("[name=seen_similar]", form).value = "1";
      if (asking) asking.abort();
      asking = new AbortController();
      const data = new URLSearchParams();
      for (const name of ["csrf_token", "title", "description", "lon", "lat"]) {
        data.set(name, one(`[name=${name}]`, form).value);
      }
      try {
        const answer = await fetch(form.dataset.similar, { method: "POST", body: data, signal: asking.signal });
        if (answer.ok) box.innerHTML = await answer.text(); // our own page's markup, escaped there
      } catch (_) { /* a help that is not there keeps nobody back */ }
    }
    title.addEventListener("change", look);
    if (title.value) look();
  }

  all("[data-costs]").forEach(estimate);
  all("form[data-similar]").forEach(similar);
})();
