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

  // ---- photos made small before they travel -----------------------------------------------------

  const SIDE = 1600;

  async function shrink(file) {
    const picture = await createImageBitmap(file, { imageOrientation: "from-image" });
    const scale = Math.min(1, SIDE / Math.max(picture.width, picture.height));
    if (scale === 1 && file.size < 400000) return file;
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(picture.width * scale);
    canvas.height = Math.round(picture.height * scale);
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.82));
    if (!blob || blob.size >= file.size) return file;
    return new File([blob], "photo.jpg", { type: "image/jpeg" });
  }

  function put(input, file) {
    const held = new DataTransfer();
    held.items.add(file);
    input.files = held.files;
  }

  function preview(input) {
    const old = one(".preview", input.parentElement);
    if (old) { URL.revokeObjectURL(old.src); old.remove(); }
    if (!input.files.length) return;
    const picture = document.createElement("img");
    picture.className = "preview";
    picture.alt = "";
    picture.src = URL.createObjectURL(input.files[0]);
    picture.addEventListener("error", () => picture.remove());
    input.after(picture);
  }

  function photo(input) {
    input.addEventListener("change", async () => {
      const [file] = input.files;
      if (!file) { preview(input); return; }
      try { put(input, await shrink(file)); } catch (_) { /* the photo goes as it is */ }
      preview(input);
      input.dispatchEvent(new CustomEvent("palabre:photo", { bubbles: true }));
    });
  }

  // ---- drafts kept on this phone -----------------------------------------------------------------

  const SECRET = new Set(["csrf_token", "idempotency_key"]);
  const DAYS = 7;

  function asText(file) {
    return new Promise((done, fail) => {
      const reader = new FileReader();
      reader.onload = () => done(reader.result);
      reader.onerror = fail;
      reader.readAsDataURL(file);
    });
  }

  function asFile(text) {
    const [head, body] = text.split(",");
    const bytes = Uint8Array.from(atob(body), (c) => c.charCodeAt(0));
    return new File([bytes], "photo.jpg", { type: head.slice(5, head.indexOf(";")) });
  }

  function draft(form) {
    const key = `draft:${form.dataset.draft}`;
    const file = one("input[type=file]", form);
    let picture = null;

    const kept = load(key);
    const fresh = kept && Date.now() - kept.at < DAYS * 86400000;
    // What the server gives back with its corrections is newer than the draft.
    if (fresh && !one("[role=alert]", form.parentElement)) {
      for (const [name, value] of Object.entries(kept.values)) {
        for (const field of all(`[name="${CSS.escape(name)}"]`, form)) {
          if (field.type === "radio" || field.type === "checkbox") field.checked = field.value === value;
          else if (field.type !== "file" && !field.value) field.value = value;
        }
      }
      if (file && kept.photo) {
        try { picture = kept.photo; put(file, asFile(kept.photo)); preview(file); } catch (_) { picture = null; }
      }
    }

    function keep() {
      const values = {};
      new FormData(form).forEach((value, name) => {
        if (typeof value === "string" && value && !SECRET.has(name)) values[name] = value;
      });
      const at = Date.now();
      // Too large for the storage: the words matter most.
      if (!save(key, { at, values, photo: picture })) save(key, { at, values, photo: null });
    }

    let waiting;
    const later = () => { clearTimeout(waiting); waiting = setTimeout(keep, 400); };
    form.addEventListener("input", later);
    document.addEventListener("palabre:picked", later);
    if (file) file.addEventListener("palabre:photo", async () => {
      try { picture = await asText(file.files[0]); } catch (_) { picture = null; }
      keep();
    });
    form.addEventListener("submit", (event) => {
      clearTimeout(waiting);
      keep();
      const anonymous = one("[name=anonymous]", form);
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
    if (key && one("[data-received]")) { drop(key); drop("sent"); }
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

  // ---- "is there one already?" ---------------------------------------------------------------------

  function duplicates(box) {
    const form = box.closest("form");
    const value = (name) => { const data = new FormData(form).get(name); return data || ""; };
    let asked = "";

    async function look() {
      const query = new URLSearchParams({ lon: value("lon"), lat: value("lat"), category: value("category") });
      if (!value("lon") || !value("category") || asked === String(query)) return;
      asked = String(query);
      try {
        const answer = await fetch(`/api/v1/reports/duplicates?${query}`);
        show(answer.ok ? (await answer.json()).features : []);
      } catch (_) { show([]); }
    }

    function show(features) {
      box.replaceChildren();
      if (!features.length) return;
      const note = document.createElement("div");
      note.className = "note ochre";
      const inner = note.appendChild(document.createElement("div"));
      inner.appendChild(document.createElement("p")).textContent = box.dataset.title;
      inner.firstChild.className = "strong";
      inner.appendChild(document.createElement("p")).textContent = box.dataset.help;
      for (const { properties: p } of features.slice(0, 3)) {
        const link = inner.appendChild(document.createElement("p")).appendChild(document.createElement("a"));
        link.href = `/signalements/${encodeURIComponent(p.ref)}`;
        link.textContent = `${Math.round(p.distance_m)} m · ${p.summary}`;
      }
      box.appendChild(note);
    }
    form.addEventListener("change", look);
    document.addEventListener("palabre:picked", look);
  }

  // ---- start -------------------------------------------------------------------------------------------

  all("[data-photo]").forEach(photo);
  forget();
  all("form[data-draft]").forEach(draft);
  all("form[data-once]").forEach(once);
  all("form[data-ballot]").forEach(ballot);
  all("form[data-leaving]").forEach(leaving);
  all("[data-duplicates]").forEach(duplicates);
  all("[data-print]").forEach((button) => button.addEventListener("click", () => window.print()));
  all("[data-copy]").forEach((button) => button.addEventListener("click", async () => {
    const text = one(button.dataset.copy).textContent.trim();
    try { await navigator.clipboard.writeText(text); button.textContent = button.dataset.done; } catch (_) {
      getSelection().selectAllChildren(one(button.dataset.copy));
    }
  }));
  const wrong = one("[data-focus]");
  if (wrong) wrong.focus();
})();
