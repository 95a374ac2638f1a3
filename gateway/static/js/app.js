// Small helps on top of pages that work without them. Nothing here is needed to send a form.
(function () {
  "use strict";

  const root = document.documentElement;
  root.classList.add("js");
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const one = (selector, from = document) => from.querySelector(selector);

  // ---- storage that may be full, or forbidden ------------------------------------------------

  function load(key) {
    try { return JSON.parse(localStorage.getItem(`palabre:${key}`)); } catch (_) { return null; }
  }
  function save(key, value) {
    try { localStorage.setItem(`palabre:${key}`, JSON.stringify(value)); return true; } catch (_) { return false; }
  }
  function drop(key) {
    try { localStorage.removeItem(`palabre:${key}`); } catch (_) { /* nothing was kept */ }
  }

  // ---- one tap, one send -----------------------------------------------------------------------

  function once(form) {
    form.addEventListener("submit", (event) => {
      if (event.defaultPrevented) return;
      if (form.dataset.sent) { event.preventDefault(); return; }
      form.dataset.sent = "1";
      // Disabled a moment later: a disabled button's own value would not be sent.
      setTimeout(() => all("button:not([type=button])", form).forEach((b) => b.setAttribute("aria-disabled", "true")), 0);
    });
  }
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    all("form[data-sent]").forEach((form) => {
      delete form.dataset.sent;
      all("[aria-disabled]", form).forEach((b) => b.removeAttribute("aria-disabled"));
    });
  });

  // ---- drafts kept on this phone -----------------------------------------------------------------

  // Secrets, and what report.js keeps itself: files, and what was shown already.
  const APART = new Set(["csrf_token", "idempotency_key", "photo_ids", "voice_id", "seen_nearby", "seen_preview"]);
  const DAYS = 7;

  function draft(form) {
    const key = `draft:${form.dataset.draft}`;
    const once = one("[name=idempotency_key]", form);
    const found = load(key);
    const kept = found && Date.now() - found.at < DAYS * 86400000 ? found : null;
    let sent = kept && kept.sent;
    form.dataset.drafted = kept ? "1" : "";
    // What the server gives back with its corrections is newer than the draft.
    if (kept && !one("[role=alert]", form.parentElement)) {
      for (const [name, value] of Object.entries(kept.values)) {
        for (const field of all(`[name="${CSS.escape(name)}"]`, form)) {
          if (field.type === "radio" || field.type === "checkbox") field.checked = field.value === value;
          else if (field.type !== "file" && !field.value) field.value = value;
        }
      }
    }

    function written() {
      const values = {};
      new FormData(form).forEach((value, name) => {
        if (typeof value === "string" && value && !APART.has(name)) values[name] = value;
      });
      return values;
    }
    const keep = () => save(key, { at: Date.now(), values: written(), sent });

    let waiting = 0;
    const now = () => { if (waiting) { clearTimeout(waiting); waiting = 0; keep(); } };
    const later = () => { clearTimeout(waiting); waiting = setTimeout(now, 400); };
    window.addEventListener("pagehide", now);
    document.addEventListener("visibilitychange", now);
    form.addEventListener("input", later);
    document.addEventListener("palabre:picked", later);
    const placed = () => { const area = one("[name=arrondissement]", form); if (area) area.setCustomValidity(""); };
    document.addEventListener("palabre:picked", placed);
    form.addEventListener("change", placed);
    form.addEventListener("submit", (event) => {
      clearTimeout(waiting);
      waiting = 0;
      // The same words sent again, because no answer came, are one and the same sending.
      const text = JSON.stringify([written(), new FormData(form).getAll("photo_ids")]);
      if (sent && sent.text === text) once.value = sent.once;
      else sent = { once: once.value, text };
      keep();
      const anonymous = one("[name=anonymous]", form);
      // A place that is missing is said here: whoever signs in first would learn it too late.
      const [lon, area] = [one("[name=lon]", form), one("[name=arrondissement]", form)];
      if (form.dataset.noPlace && !lon.value && !area.value) {
        event.preventDefault();
        area.setCustomValidity(form.dataset.noPlace);
        area.reportValidity();
        return;
      }
      if (form.dataset.signIn && !(anonymous && anonymous.checked)) {
        event.preventDefault();
        location.assign(form.dataset.signIn);
        return;
      }
      // The page that thanks for it clears the draft (see forget).
      save("sent", key);
    });
  }

  // Received: the draft is no more needed. Any other page (a correction, a sign-in) keeps it.
  function forget() {
    const key = load("sent");
    if (!key || !one("[data-received]")) return;
    drop(key);
    drop("sent");
    try { indexedDB.deleteDatabase(`palabre:${key}`); } catch (_) { /* no files were kept */ }
  }

  // ---- the ballot's running total -----------------------------------------------------------------

  function ballot(form) {
    const budget = Number(form.dataset.budget);
    const money = new Intl.NumberFormat(form.dataset.locale);
    const francs = (amount) => `${money.format(amount)}\u202fF\u202fCFA`;
    const boxes = all("[name=choices]", form);
    const bar = one("progress", form);
    const left = one("[data-left]", form);
    const button = one(".tally .button", form);
    let touched = false;

    function count() {
      const spent = boxes.filter((b) => b.checked).reduce((sum, b) => sum + Number(b.dataset.cost), 0);
      const over = spent > budget;
      one("[data-spent]", form).textContent = francs(spent);
      left.textContent = `${over ? left.dataset.over : left.dataset.ok} ${francs(Math.abs(budget - spent))}`;
      left.classList.toggle("error-text", over);
      bar.value = Math.min(spent, budget);
      bar.classList.toggle("over", over);
      button.disabled = over || spent === 0;
      boxes.forEach((b) => b.parentElement.classList.toggle("out", !b.checked && Number(b.dataset.cost) > budget - spent));
      all("[data-envelope]", form).forEach(part);
    }
    // Each envelope has its own money: what is left of it is said in its heading.
    function part(envelope) {
      const own = all("[name=choices]", envelope);
      const rest = own.filter((b) => b.checked).reduce((sum, b) => sum - Number(b.dataset.cost), Number(envelope.dataset.envelope));
      const told = one("[data-rest]", envelope);
      told.textContent = `${rest < 0 ? left.dataset.over : left.dataset.ok} ${francs(Math.abs(rest))}`;
      told.classList.toggle("error-text", rest < 0);
      if (rest < 0) button.disabled = true;
      own.forEach((b) => b.parentElement.classList.toggle("out", !b.checked && Number(b.dataset.cost) > rest));
    }
    form.addEventListener("change", () => { touched = true; count(); });
    form.addEventListener("submit", () => { touched = false; });
    window.addEventListener("beforeunload", (event) => { if (touched) event.preventDefault(); });
    window.addEventListener("pageshow", count);
    count();
  }

  // The review step is a ballot that was not sent either.
  function leaving(form) {
    let sent = false;
    form.addEventListener("submit", () => { sent = true; });
    window.addEventListener("beforeunload", (event) => { if (!sent) event.preventDefault(); });
  }

  // ---- pieces of a page that come after it ------------------------------------------------------

  async function piece(box) {
    try {
      const answer = await fetch(box.dataset.load);
      if (answer.ok) box.innerHTML = await answer.text(); // our own page's markup, escaped there
    } catch (_) { /* the link beside it leads to the same */ }
  }

  // ---- a report followed by who gave no name ------------------------------------------------------

  // The code is in the link's fragment, which no browser sends; it is kept while this tab is open.
  function follow() {
    const given = one("#lien-suivi");
    if (given) try { sessionStorage.setItem(`palabre:suivi:${given.pathname.split("/").pop()}`, given.hash.slice(7)); } catch (_) { /* the link is shown */ }
    const form = one("form[data-follow]");
    if (!form) return;
    const key = `palabre:suivi:${form.dataset.follow}`;
    const link = location.hash.match(/^#suivi=([a-z0-9]{16,100})$/i);
    let code = link && link[1];
    try {
      if (code) sessionStorage.setItem(key, code);
      else code = sessionStorage.getItem(key);
    } catch (_) { /* the link works once, then */ }
    if (link) history.replaceState(history.state, "", location.pathname + location.search);
    if (code && !one("[role=alert]")) open(form, code, key);
  }

  async function open(form, code, key) {
    const field = one("[name=follow_up]", form);
    field.value = code;
    try {
      const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
      const found = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
      if (!answer.ok || !found) throw new Error(String(answer.status));
      const said = one("main .note.green");
      one("main").replaceWith(found);
      if (said) one(".wrap", found).prepend(said);
      start(found);
      found.focus({ preventScroll: true });
    } catch (error) {
      field.value = "";
      if (error.message === "422") try { sessionStorage.removeItem(key); } catch (_) { /* so be it */ }
    }
  }
  window.addEventListener("hashchange", follow);

  // ---- what changed since one last looked ----------------------------------------------------------

  function news(items) {
    const seen = load("seen") || {};
    const known = load("seen") !== null;
    for (const item of items) {
      const { of, changed } = item.dataset;
      const mark = one("[data-new]", item);
      if (known && seen[of] && seen[of] !== changed) mark.hidden = false;
      seen[of] = changed;
    }
    save("seen", seen);
  }

  // ---- copying, sharing, printing -------------------------------------------------------------------

  async function copy(button) {
    const from = one(button.dataset.copy);
    try { await navigator.clipboard.writeText(from.textContent.trim()); button.textContent = button.dataset.done; } catch (_) {
      getSelection().selectAllChildren(from);
    }
  }

  // Where nothing can be shared the button copies, if it has a word for that.
  function share(button) {
    const { share: from, title, done } = button.dataset;
    if (!navigator.share && !done) return;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const url = one(from).href;
      try {
        if (navigator.share) await navigator.share({ title, url });
        else { await navigator.clipboard.writeText(url); button.textContent = done; }
      } catch (_) { /* closed again, or refused */ }
    });
  }

  // ---- start -------------------------------------------------------------------------------------------

  function start(page) {
    all("form[data-draft]", page).forEach(draft);
    all("form[data-once]", page).forEach(once);
    all("form[data-ballot]", page).forEach(ballot);
    all("form[data-leaving]", page).forEach(leaving);
    all("[data-load]", page).forEach(piece);
    all("[data-share]", page).forEach(share);
    all("[data-print]", page).forEach((button) => button.addEventListener("click", () => window.print()));
    all("[data-copy]", page).forEach((button) => button.addEventListener("click", () => copy(button)));
    const items = all("[data-changed]", page);
    if (items.length) news(items);
    const wrong = one("[data-focus]", page);
    if (wrong) wrong.focus();
  }
  forget();
  start(document);
  follow();
})();
