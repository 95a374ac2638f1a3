// Helps of the report form: photos and a voice note that travel while one writes, what is near by,
// what all will read, and a network that comes and goes. The form works without any of it.
(function () {
  "use strict";

  const one = (selector, from = document) => from.querySelector(selector);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const SVG = "http://www.w3.org/2000/svg";

  function make(tag, className, text) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  }
  function icon(name) {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("class", "icon");
    svg.setAttribute("aria-hidden", "true");
    svg.appendChild(document.createElementNS(SVG, "use")).setAttribute("href", `${document.documentElement.dataset.sprite}#icon-${name}`);
    return svg;
  }
  // crypto.randomUUID is not there without TLS.
  function uuid() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 15) | 64;
    bytes[8] = (bytes[8] & 63) | 128;
    return [...bytes].map((b, at) => ([4, 6, 8, 10].includes(at) ? "-" : "") + b.toString(16).padStart(2, "0")).join("");
  }

  // ---- files kept on this phone with the draft ---------------------------------------------------

  function shelf(name) {
    let opened = null;
    function database() {
      opened = opened || new Promise((done, fail) => {
        const asked = indexedDB.open(name, 1);
        asked.onupgradeneeded = () => asked.result.createObjectStore("kept");
        asked.onsuccess = () => done(asked.result);
        asked.onerror = asked.onblocked = () => fail(asked.error);
      });
      return opened;
    }
    async function ask(mode, what) {
      try {
        const store = (await database()).transaction("kept", mode).objectStore("kept");
        return await new Promise((done, fail) => {
          const asked = what(store);
          asked.onsuccess = () => done(asked.result);
          asked.onerror = () => fail(asked.error);
        });
      } catch (_) { return undefined; } // no storage: the files live as long as the page
    }
    return {
      load: () => ask("readonly", (store) => store.get("files")),
      save: (files) => ask("readwrite", (store) => store.put(files, "files")),
      clear: () => ask("readwrite", (store) => store.clear()),
    };
  }

  // ---- photos: made small, and where they were taken ----------------------------------------------

  const SIDE = 1600;
  const SMALL = 400000;

  async function shrink(file) {
    const picture = await createImageBitmap(file, { imageOrientation: "from-image" });
    const scale = Math.min(1, SIDE / Math.max(picture.width, picture.height));
    if (scale === 1 && file.size < SMALL) return file;
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(picture.width * scale);
    canvas.height = Math.round(picture.height * scale);
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    picture.close();
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.82));
    if (!blob || blob.size >= file.size) return file;
    return new File([blob], "photo.jpg", { type: "image/jpeg" });
  }

  // A shrunk photo says no more where it was taken, so that is read before (TIFF 6.0, Exif 2.32).
  async function placeIn(file) {
    try {
      const view = new DataView(await file.slice(0, 262144).arrayBuffer());
      if (view.getUint16(0) !== 0xffd8) return null;
      for (let at = 2; view.getUint8(at) === 0xff && view.getUint8(at + 1) !== 0xda; at += 2 + view.getUint16(at + 2)) {
        if (view.getUint16(at) === 0xffe1 && view.getUint32(at + 4) === 0x45786966) return position(view, at + 10);
      }
    } catch (_) { /* cut short: it says nothing */ }
    return null;
  }

  function position(view, start) {
    const little = view.getUint16(start) === 0x4949;
    const long = (at) => view.getUint32(at, little);
    function entries(at) {
      const found = new Map();
      for (let n = view.getUint16(at, little), entry = at + 2; n > 0; n--, entry += 12) found.set(view.getUint16(entry, little), entry + 8);
      return found;
    }
    const pointer = entries(start + long(start + 4)).get(0x8825);
    if (!pointer) return null;
    const gps = entries(start + long(pointer));
    function degrees(tag, negative) {
      const at = start + long(gps.get(tag));
      const [d, m, s] = [0, 8, 16].map((step) => long(at + step) / long(at + step + 4));
      const sign = String.fromCharCode(view.getUint8(gps.get(tag - 1))) === negative ? -1 : 1;
      return sign * (d + m / 60 + s / 3600);
    }
    const found = { lat: degrees(2, "S"), lon: degrees(4, "W") };
    return Number.isFinite(found.lat) && Number.isFinite(found.lon) ? found : null;
  }

  // ---- sending a file while one writes -----------------------------------------------------------

  // The service forgets after two days what no report names.
  const FRESH = 40 * 3600 * 1000;
  const stale = (item) => item.id && Date.now() - item.at > FRESH;

  // Resolves to "sent", "waiting" (for the network, or for an hour) or "bad".
  async function upload(item, path) {
    let answer;
    try {
      answer = await fetch(path, { method: "POST", body: item.file, credentials: "omit", headers: { "Content-Type": "application/octet-stream", "Idempotency-Key": item.key } });
    } catch (_) { return "waiting"; }
    if (!answer.ok) return [400, 413, 415, 422].includes(answer.status) ? "bad" : "waiting";
    const made = await answer.json();
    item.id = made.id;
    item.at = Date.now();
    if (Number.isFinite(made.lon) && !item.place) item.place = { lon: made.lon, lat: made.lat };
    return "sent";
  }

  // ---- the form -------------------------------------------------------------------------------------

  function start(form) {
    const words = JSON.parse(form.dataset.words);
    const files = shelf(`palabre:draft:${form.dataset.draft}`);
    const field = (name) => one(`[name="${name}"]`, form);
    function value(name) {
      const found = one(`[name="${name}"]:checked, [name="${name}"]:not([type=radio]):not([type=checkbox])`, form);
      return found ? found.value : "";
    }
    const touched = () => form.dispatchEvent(new Event("input"));
    let photos = [];
    let voice = null;

    const keep = () => files.save({ photos: photos.map(({ key, id, at, file, state }) => ({ key, id, at, file, state })), voice: voice && { ...voice, url: undefined } });

    // One file after the other: the line is thin.
    let queue = Promise.resolve();
    const later = (work) => { queue = queue.then(work).catch(() => { /* the form carries it */ }); };

    // -- photos

    const shots = one("[data-shots]", form);
    const list = one("[data-shot-list]", shots);
    const input = one("[name=photos]", shots);
    const camera = one("#f-camera", shots);
    const offer = one("[data-photo-place]", shots);
    const most = Number(form.dataset.most);
    input.className = "sr"; // the two buttons above stand for it

    function tell(text) { one("[data-shot-state]", shots).textContent = text; }

    function draw() {
      for (const old of all(".preview", list)) URL.revokeObjectURL(old.src);
      list.replaceChildren(...photos.map((item, at) => {
        const tile = make("li", `shot ${item.state}`);
        if (item.file) {
          const picture = tile.appendChild(make("img", "preview"));
          picture.alt = "";
          picture.src = URL.createObjectURL(item.file);
          picture.addEventListener("error", () => picture.remove());
        } else tile.appendChild(icon("image"));
        const sign = tile.appendChild(make("span", "shot-state"));
        sign.appendChild(icon({ sent: "check", bad: "alert" }[item.state] || "clock"));
        const button = tile.appendChild(make("button", "shot-remove"));
        button.type = "button";
        button.setAttribute("aria-label", `${words.remove} ${at + 1}`);
        button.appendChild(make("span")).appendChild(icon("x"));
        button.addEventListener("click", () => { photos = photos.filter((other) => other !== item); changed(); });
        if (item.id) {
          const hidden = tile.appendChild(make("input"));
          Object.assign(hidden, { type: "hidden", name: "photo_ids", value: item.id });
        }
        return tile;
      }));
      one("[data-shoot]", shots).hidden = photos.length >= most;
    }

    // The input holds the same files, small: a browser that sends it itself sends these.
    function changed() {
      draw();
      try {
        const held = new DataTransfer();
        photos.filter((p) => p.file).forEach((p) => held.items.add(p.file instanceof File ? p.file : new File([p.file], "photo.jpg", { type: p.file.type })));
        input.files = held.files;
      } catch (_) { /* an old browser: `formdata` below does it alone */ }
      keep();
      touched();
    }

    function travel(item) {
      later(async () => {
        if (!photos.includes(item) || item.id || item.state === "bad") return;
        tell(words.sending);
        item.state = await upload(item, "/api/v1/uploads");
        tell(words[item.state]);
        propose(item.place);
        if (photos.includes(item)) changed();
      });
    }

    async function take(chosen) {
      for (const file of chosen) {
        if (photos.length >= most) break;
        const place = await placeIn(file);
        let small = file;
        try { small = await shrink(file); } catch (_) { /* it goes as it is */ }
        const item = { key: uuid(), id: "", at: 0, file: small, state: "waiting", place };
        photos.push(item);
        changed();
        propose(place);
        travel(item);
      }
    }
    input.addEventListener("change", () => take([...input.files]));
    camera.addEventListener("change", () => { take([...camera.files]); camera.value = ""; });

    // -- the place of the photo, when no other was chosen

    const [west, south, east, north] = form.dataset.bbox.split(",").map(Number);
    const AROUND = 0.05;
    let offered = null;

    function propose(place) {
      if (!place || value("lon")) return;
      const inside = place.lon > west - AROUND && place.lon < east + AROUND && place.lat > south - AROUND && place.lat < north + AROUND;
      if (!inside) return;
      offered = place;
      offer.hidden = false;
    }
    one("[data-use-place]", offer).addEventListener("click", () => {
      const map = one("[data-map-picker]", form);
      if (map) map.dispatchEvent(new CustomEvent("palabre:place", { detail: offered }));
      if (!value("lon")) { // no map took it
        field("lon").value = offered.lon.toFixed(6);
        field("lat").value = offered.lat.toFixed(6);
        form.dispatchEvent(new CustomEvent("palabre:picked", { bubbles: true, detail: offered }));
      }
      offer.hidden = true;
      tell(words.place_of_photo);
    });
    document.addEventListener("palabre:picked", () => { offer.hidden = true; });

    // -- a voice note

    const spoken = one("[data-voice]", form);
    const part = (name) => one(`[data-${name}]`, spoken);
    const SECONDS = 60;
    const KINDS = ["audio/webm;codecs=opus", "audio/mp4", "audio/ogg;codecs=opus"];
    let recorder = null;

    function say(text) { part("voice-state").textContent = text; }
    function stage(name) {
      part("record").hidden = name !== "record";
      part("recording").hidden = name !== "recording";
      part("recorded").hidden = name !== "recorded";
    }
    function showVoice() {
      field("voice_id").value = voice && voice.id ? voice.id : "";
      stage(voice ? "recorded" : "record");
      if (voice && voice.file) part("player").src = voice.url = voice.url || URL.createObjectURL(voice.file);
      part("player").hidden = !(voice && voice.file);
    }
    function clock(seconds) {
      part("time").textContent = `0:${String(Math.min(seconds, 59)).padStart(2, "0")} / 1:00`;
      one("progress", spoken).value = seconds;
    }

    async function record() {
      let stream;
      clock(0);
      try { stream = await navigator.mediaDevices.getUserMedia({ audio: true }); } catch (_) {
        say(words.no_microphone);
        part("voice-file").classList.remove("no-js"); // a recorder of the phone may do it
        return;
      }
      const mimeType = KINDS.find((kind) => MediaRecorder.isTypeSupported(kind));
      recorder = new MediaRecorder(stream, { mimeType, audioBitsPerSecond: 24000 });
      const pieces = [];
      const begun = Date.now();
      const ticking = setInterval(() => {
        const seconds = Math.floor((Date.now() - begun) / 1000);
        clock(seconds);
        if (seconds >= SECONDS) recorder.stop();
      }, 250);
      recorder.addEventListener("dataavailable", (event) => pieces.push(event.data));
      recorder.addEventListener("stop", () => {
        clearInterval(ticking);
        stream.getTracks().forEach((track) => track.stop());
        const file = new Blob(pieces, { type: recorder.mimeType });
        recorder = null;
        // Stopped before the first sound.
        voice = file.size ? { key: uuid(), id: "", at: 0, file } : null;
        showVoice();
        if (!voice) { say(words.voice_bad); part("record").focus(); return; }
        say(words.recorded);
        one("[data-erase]", spoken).focus();
        keep();
        sendVoice();
      });
      recorder.start();
      stage("recording");
      say(words.recording);
      part("stop").focus();
    }

    function sendVoice() {
      const mine = voice;
      later(async () => {
        if (!mine || mine !== voice || mine.id) return;
        const state = await upload(mine, "/api/v1/uploads/voice");
        if (mine !== voice) return;
        if (state === "bad") voice = null;
        if (state !== "sent") say(state === "bad" ? words.voice_bad : words.voice_waiting);
        showVoice();
        keep();
        touched();
      });
    }

    if (navigator.mediaDevices && window.MediaRecorder) {
      part("recorder").hidden = false;
      part("record").addEventListener("click", record);
      part("stop").addEventListener("click", () => recorder && recorder.stop());
      part("erase").addEventListener("click", () => { voice = null; showVoice(); say(words.erased); part("record").focus(); keep(); touched(); });
    } else part("voice-file").classList.remove("no-js");

    // -- files of an earlier visit, and those that the server holds already

    async function again() {
      const held = all("[data-held] input", shots).map((box) => box.value);
      const box = one("[data-held]", shots);
      if (box) box.remove();
      const answered = Boolean(one("[role=alert]") || held.length);
      let kept = await files.load();
      if (!form.dataset.drafted && !answered) { files.clear(); kept = null; }
      const earlier = ((kept && kept.photos) || []).map((item) => (stale(item) ? { ...item, id: "", key: uuid(), state: "waiting" } : item));
      // After an answer of the server only what it names is there: it has taken the rest in.
      photos = answered
        ? held.map((id) => earlier.find((item) => item.id === id) || { key: uuid(), id, at: Date.now(), file: null, state: "sent" })
        : [...earlier, ...photos];
      const spokenId = field("voice_id").value;
      voice = (kept && kept.voice) || null;
      if (voice && stale(voice)) voice = { ...voice, id: "", key: uuid() };
      if (spokenId && !(voice && voice.id === spokenId)) voice = { key: uuid(), id: spokenId, at: Date.now(), file: null };
      if (photos.length) changed();
      if (voice) showVoice();
      photos.forEach(travel);
      sendVoice();
    }

    // -- what is near by

    const near = one("[data-nearby-box]", form);
    let looked = "";
    let looking = null;

    function place() {
      const [lon, lat, arrondissement, category] = ["lon", "lat", "arrondissement", "category"].map(value);
      if (!category || !(lon || arrondissement)) return "";
      return String(new URLSearchParams(lon ? { lon, lat, category } : { arrondissement, category }));
    }

    async function look() {
      const asked = place();
      if (asked === looked || (looking && looking.asked === asked)) return;
      if (looking) looking.abort();
      near.replaceChildren();
      if (!asked) return;
      looking = Object.assign(new AbortController(), { asked });
      try {
        const answer = await fetch(`${form.dataset.nearby}?${asked}`, { signal: looking.signal });
        if (!answer.ok) return;
        near.innerHTML = await answer.text(); // our own page's markup, escaped there
        looked = asked;
      } catch (_) { /* the server looks when it gets the report */ } finally { looking = null; }
    }
    form.addEventListener("change", look);
    document.addEventListener("palabre:picked", look);
    // The report that one joins replaces the draft: the page that thanks clears it.
    near.addEventListener("click", (event) => {
      if (event.target.closest("[data-me-too]")) try { localStorage.setItem("palabre:sent", JSON.stringify(`draft:${form.dataset.draft}`)); } catch (_) { /* no draft either */ }
    });

    // -- what all will read

    const box = one("[data-look-box]", form);
    const texts = () => `${value("description")}\n${value("landmark")}`;
    // What the service may find personal: an address, or eight digits.
    const suspect = () => { const text = texts(); return text.includes("@") || (text.match(/\p{Nd}/gu) || []).length >= 8; };
    let seen = "";
    let pausing;

    async function preview() {
      const asked = texts();
      const data = new FormData();
      for (const name of ["csrf_token", "description", "landmark"]) data.set(name, value(name));
      try {
        const answer = await fetch(form.dataset.look, { method: "POST", body: new URLSearchParams(data) });
        if (!answer.ok || asked !== texts()) return;
        box.innerHTML = await answer.text(); // our own page's markup, escaped there
        seen = asked;
      } catch (_) { /* the server looks when it gets the report */ }
    }
    one("[data-look-button]", form).addEventListener("click", async () => {
      await preview();
      box.scrollIntoView({ block: "center" });
    });
    form.addEventListener("input", (event) => {
      if (event.target.name !== "description" && event.target.name !== "landmark") return;
      clearTimeout(pausing);
      if (suspect()) pausing = setTimeout(preview, 900);
      else box.replaceChildren();
    });
    box.addEventListener("click", (event) => {
      const button = event.target.closest("[data-take-out]");
      if (!button) return;
      const from = field(button.dataset.from);
      from.value = from.value.replace(button.dataset.takeOut, "").replace(/ {2,}/g, " ").trim();
      from.focus();
      touched();
      preview();
    });

    // -- sending, when there is a network

    const state = one("[data-network]");
    let asked = false;
    let passed = false;

    function network(text) {
      state.textContent = text;
      state.hidden = !text;
    }
    async function reachable() {
      if (navigator.onLine === false) return false;
      const patience = new AbortController();
      const timer = setTimeout(() => patience.abort(), 8000);
      try {
        await fetch("/healthz", { method: "HEAD", cache: "no-store", credentials: "omit", signal: patience.signal });
        return true;
      } catch (_) { return false; } finally { clearTimeout(timer); }
    }
    // Before any other listener: what cannot be sent must not look sent.
    document.addEventListener("submit", async (event) => {
      if (event.target !== form || passed || !form.requestSubmit) return;
      event.preventDefault();
      event.stopPropagation();
      if (asked) return;
      asked = true;
      const button = one("#envoi", form);
      button.setAttribute("aria-disabled", "true");
      const there = await reachable();
      button.removeAttribute("aria-disabled");
      asked = false;
      if (there) {
        network("");
        passed = true;
        form.requestSubmit();
        passed = false;
        return;
      }
      form.dataset.waiting = "1";
      keep();
      touched();
      network(words.not_sent);
      state.scrollIntoView({ block: "center" });
    }, true);

    function back() {
      network("");
      photos.forEach(travel);
      sendVoice();
      if (form.dataset.waiting) { delete form.dataset.waiting; form.requestSubmit(); }
    }
    window.addEventListener("offline", () => network(words.offline));
    window.addEventListener("online", back);
    // A phone may not notice that its network is back.
    setInterval(async () => { if (form.dataset.waiting && document.visibilityState === "visible" && await reachable()) back(); }, 20000);

    // Files that have travelled are named, the others go along; what was shown is not shown again.
    form.addEventListener("formdata", ({ formData }) => {
      formData.delete("photos");
      formData.delete("voice");
      photos.filter((p) => !p.id && p.file && p.state !== "bad").forEach((p) => formData.append("photos", p.file, "photo.jpg"));
      if (voice && !voice.id && voice.file) formData.append("voice", voice.file, "voix");
      if (!formData.get("lon") || looked === place()) formData.set("seen_nearby", "1");
      if (!suspect() || seen === texts()) formData.set("seen_preview", "1");
    });

    again().then(look);
    if (suspect()) preview();
  }

  document.addEventListener("DOMContentLoaded", () => all("form[data-report-form]").forEach(start));
})();
