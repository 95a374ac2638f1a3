// Palabre's maps. Loaded after Leaflet and before the script that folium wrote, which calls
// palabre.map, palabre.areas, palabre.layer and palabre.months. Whatever people wrote reaches the page only
// through textContent.
(function () {
  "use strict";

  // The page names the sprite it has already fetched.
  const SPRITE = document.documentElement.dataset.sprite || "/static/vendor/icons.svg";
  const SVG = "http://www.w3.org/2000/svg";
  const REFRESH = 20000;
  const SLOW = 300000; // hotspots: heavy to find, slow to move
  const FIND = { every: 400, during: 10000 };
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;

  const WORDS = {
    fr: {
      zoomIn: "Zoomer", zoomOut: "Dézoomer", layers: "Choisir ce que montre la carte",
      source: "Limites : © contributeurs OpenStreetMap", open: "Voir le détail", close: "Fermer",
      locate: "Ma position", locating: "Recherche de votre position…",
      located: "Position trouvée, à {0} m près.", noPosition: "Votre position n'a pas pu être trouvée. Touchez la carte à l'endroit voulu.",
      refused: "L'accès à votre position est refusé. Touchez la carte à l'endroit voulu.",
      chosen: "Lieu choisi.", chosenIn: "Lieu choisi : {0}.", outside: "Ce lieu est hors de la commune.",
      move: "Lieu choisi : faites-le glisser pour le corriger", yours: "Voici l'endroit.",
      offline: "La carte n'a pas pu être mise à jour.", group: "{0} éléments : agrandir",
      map: "Carte. Flèches pour se déplacer, + et − pour zoomer.",
      pick: "Carte. Flèches pour se déplacer, + et − pour zoomer, Entrée pour choisir le centre.",
      report: "Signalement", proposal: "Proposition", work: "Travaux", nth: "N° {0}", late: "En retard",
      comment: "{0} commentaire", comments: "{0} commentaires", hotspots: "Points chauds sur {0} jours",
      area: "{0} carré coloré", areas: "{0} carrés colorés", noArea: "rien d'inhabituel", likely: "inhabituel", unlikely: "très inhabituel",
    },
    en: {
      zoomIn: "Zoom in", zoomOut: "Zoom out", layers: "Choose what the map shows",
      source: "Boundaries: © OpenStreetMap contributors", open: "See more", close: "Close",
      locate: "My position", locating: "Looking for your position…",
      located: "Position found, within {0} m.", noPosition: "Your position could not be found. Tap the map at the right place.",
      refused: "Access to your position is denied. Tap the map at the right place.",
      chosen: "Place chosen.", chosenIn: "Place chosen: {0}.", outside: "This place is outside the commune.",
      move: "Chosen place: drag to correct it", yours: "Here it is.",
      offline: "The map could not be brought up to date.", group: "{0} items: zoom in",
      map: "Map. Arrows to move, + and − to zoom.",
      pick: "Map. Arrows to move, + and − to zoom, Enter to choose the centre.",
      report: "Report", proposal: "Proposal", work: "Works", nth: "No. {0}", late: "Late",
      comment: "{0} comment", comments: "{0} comments", hotspots: "Hotspots over {0} days",
      area: "{0} coloured cell", areas: "{0} coloured cells", noArea: "nothing unusual", likely: "unusual", unlikely: "very unusual",
    },
  };
  const language = document.documentElement.lang.slice(0, 2) === "en" ? "en" : "fr";
  const words = WORDS[language];
  const number = new Intl.NumberFormat(language);
  const short = new Intl.NumberFormat(language, { notation: "compact" });
  const day = new Intl.DateTimeFormat(language, { day: "numeric", month: "long", year: "numeric", timeZone: "Africa/Porto-Novo" });

  // What the page calls codes: kind -> code -> [text, icon, tone]; map.css gives a tone its colour.
  const codes = { category: {}, report: {}, proposal: {}, work: {} };
  const PLACES = { report: "/signalements/", proposal: "/propositions/", work: "/travaux/" };

  const say = (key, value) => words[key].replace("{0}", value);
  const known = (kind, code) => codes[kind][code] || [String(code || "").replace(/_/g, " "), "other", "sky"];

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
    svg.appendChild(document.createElementNS(SVG, "use")).setAttribute("href", `${SPRITE}#icon-${name}`);
    return svg;
  }

  function attribute(element, name) {
    const holder = element.closest(`[${name}]`);
    return holder ? holder.getAttribute(name) : null;
  }

  function told(container, name) {
    try {
      return JSON.parse(attribute(container, name) || "{}");
    } catch (_) {
      return {};
    }
  }

  const labelsOf = (map) => told(map.getContainer(), "data-labels");

  // What few pages need is fetched by those only, under the address that the page knows.
  const modules = {};
  const module = (name) => import(modules[name] || `/static/js/map-${name}.js`);

  // ---- pins -------------------------------------------------------------------------------

  const kindOf = (p) => (Object.hasOwn(PLACES, p.kind) ? p.kind : "report");

  function iconOf(p) {
    const kind = kindOf(p);
    if (kind === "report") return known("category", p.category)[1];
    if (kind === "work") return known(kind, p.status)[1];
    return p.status === "funded" ? "trophy" : "lightbulb";
  }

  // On the ballot a project goes by its number.
  const numberOf = (p) => (p.status === "shortlisted" && Number.isInteger(p.number) ? p.number : 0);

  const toneOf = (p) => known(kindOf(p), p.status)[2];

  // Leaflet replaces the class while it sets size and place: ours come after.
  function dressed(of, className) {
    const element = make("div");
    of._setIconStyles(element, "icon");
    element.className += ` ${className}`;
    return element;
  }

  const Pin = L.Icon.extend({
    options: { iconSize: [36, 44], iconAnchor: [18, 43], popupAnchor: [0, -38] },
    createIcon() {
      const p = this.options.properties;
      const pin = dressed(this, `pin pin-${kindOf(p)} tone-${toneOf(p)}`);
      const nth = numberOf(p);
      pin.appendChild(make("span", "pin-head")).append(nth ? number.format(nth) : icon(iconOf(p)));
      pin.setAttribute("aria-label", nameOf(p));
      return pin;
    },
    createShadow() { return null; },
  });

  function nameOf(p) {
    const kind = kindOf(p);
    const what = kind === "report" ? known("category", p.category)[0] : p.title || words[kind];
    const nth = numberOf(p);
    return [...(nth ? [say("nth", nth)] : []), what, known(kind, p.status)[0]].join(", ");
  }

  function card(p) {
    const box = make("div", "pin-card");
    const kind = kindOf(p);
    const nth = numberOf(p);
    box.appendChild(make("p", "pin-kind", [words[kind], nth ? say("nth", nth) : p.ref].filter(Boolean).join(" ")));
    box.appendChild(make("h3", "pin-title", p.title || known("category", p.category)[0]));
    const facts = box.appendChild(make("p", "pin-facts"));
    facts.appendChild(make("span", `pin-status tone-${toneOf(p)}`, known(kind, p.status)[0]));
    if (p.delayed) facts.appendChild(make("span", "pin-late", words.late));
    if (Number.isFinite(p.progress)) facts.appendChild(make("span", "pin-progress", `${number.format(p.progress)}\u202f%`));
    if (Number.isFinite(p.cost)) facts.appendChild(make("span", "pin-cost", `${number.format(p.cost)} FCFA`));
    if (p.comments > 0) facts.appendChild(make("span", "", say(p.comments === 1 ? "comment" : "comments", number.format(p.comments))));
    const date = new Date(p.created_at);
    if (!isNaN(date)) facts.appendChild(make("time", "", day.format(date))).dateTime = p.created_at;
    if (p.ref) {
      const link = box.appendChild(make("a", "pin-link", words.open));
      link.href = PLACES[kind] + encodeURIComponent(p.ref);
      link.appendChild(icon("chevron-right"));
    }
    return box;
  }

  const Group = L.Icon.extend({
    createIcon() {
      const { count, kind } = this.options;
      const disc = dressed(this, `cluster cluster-${kind}`);
      disc.appendChild(make("span", "", (count < 10000 ? number : short).format(count)));
      disc.setAttribute("aria-label", say("group", number.format(count)));
      return disc;
    },
    createShadow() { return null; },
  });

  function groupIcon(count, kind) {
    const size = count < 10 ? 38 : count < 100 ? 44 : count < 1000 ? 50 : 56;
    return new Group({ count, kind, iconSize: [size, size], iconAnchor: [size / 2, size / 2] });
  }

  // A marker of a tile may stand for several things already.
  const countOf = (marker) => marker.options.properties.n || 1;

  function clusterIcon(cluster) {
    const markers = cluster.getAllChildMarkers();
    return groupIcon(markers.reduce((sum, marker) => sum + countOf(marker), 0), kindOf(markers[0].options.properties));
  }

  // ---- layers fetched by URL ----------------------------------------------------------------

  const layers = [];

  function toMarker({ geometry, properties }) {
    const [lon, lat] = geometry.coordinates;
    const several = properties.n > 1;
    const icon = several ? groupIcon(properties.n, kindOf(properties)) : new Pin({ properties });
    const marker = L.marker([lat, lon], { icon, properties, keyboard: true, riseOnHover: true });
    if (!several) return marker.bindPopup(() => card(properties), { maxWidth: 260, minWidth: 190, closeButton: true });
    return marker.on("click keypress", ({ type, originalEvent }) => {
      const map = marker._map;
      if (type === "keypress" && originalEvent.key !== "Enter") return;
      map.setView(marker.getLatLng(), Math.min(map.getZoom() + 2, map.getMaxZoom()), { animate: !calm });
    });
  }

  function toHotspot(feature) {
    const p = feature.properties;
    const heat = 1 + [3, 4.5, 6].filter((z) => p.z >= z).length;
    const says = p[language === "en" ? "sentence_en" : "sentence"] || "";
    const shape = L.geoJSON(feature, { style: { className: `map-hotspot heat-${heat} trend-${String(p.trend).replace(/\W/g, "")}` } });
    shape.eachLayer((part) => part.on("add", () => {
      const path = part.getElement();
      path.setAttribute("tabindex", "0");
      path.setAttribute("role", "img");
      path.setAttribute("aria-label", says);
    }));
    return shape.bindTooltip(() => make("span", "", says), { sticky: true, className: "map-tip" });
  }

  function toLayer(feature, kind) {
    return kind === "hotspots" ? toHotspot(feature) : toMarker(feature);
  }

  // What was drawn as a line or an area, beside its pin, which says all there is to say.
  function toShape({ properties: p }) {
    if (!p.shape) return null;
    return L.geoJSON(p.shape, { interactive: false, style: { className: `map-shape tone-${toneOf(p)}` } });
  }

  function identify(feature, at) {
    const p = feature.properties || {};
    return String(feature.id || p.id || p.ref || at);
  }

  // What is seen of a feature. Tiles of other zooms round its place otherwise: it moves from 3 m on.
  const SEEN = ["kind", "ref", "category", "status", "title", "cost", "n", "z", "trend", "sentence", "sentence_en", "number", "comments", "progress", "delayed", "shape"];
  const seen = ({ properties }) => JSON.stringify(SEEN.map((name) => properties[name]));

  function stays(drawn, feature) {
    if (seen(feature) !== seen(drawn.feature)) return false;
    if (!drawn.layer.getLatLng) return JSON.stringify(feature.geometry) === JSON.stringify(drawn.feature.geometry);
    const [lon, lat] = feature.geometry.coordinates;
    return drawn.layer.getLatLng().distanceTo([lat, lon]) < 3;
  }

  // Only what changed is redrawn, so that an open card stays open and nothing flickers.
  function show(entry, features) {
    const wanted = new Map();
    features.forEach((feature, at) => {
      if (feature.geometry) wanted.set(identify(feature, at), feature);
    });
    const gone = [];
    const fresh = [];
    for (const [id, drawn] of entry.shown) {
      const next = wanted.get(id);
      if (next && stays(drawn, next)) continue;
      gone.push(drawn.layer);
      if (drawn.shape) entry.shapes.removeLayer(drawn.shape);
      entry.shown.delete(id);
    }
    for (const [id, feature] of wanted) {
      if (entry.shown.has(id)) continue;
      const layer = toLayer(feature, entry.kind);
      const shape = toShape(feature);
      if (shape) entry.shapes.addLayer(shape);
      entry.shown.set(id, { layer, feature, shape });
      fresh.push(layer);
    }
    if (entry.layer.addLayers) {
      if (gone.length) entry.layer.removeLayers(gone);
      if (fresh.length) entry.layer.addLayers(fresh);
    } else {
      gone.forEach((layer) => entry.layer.removeLayer(layer));
      fresh.forEach((layer) => entry.layer.addLayer(layer));
    }
  }

  // Groups of groups are larger than groups of pins, and need more room where there is some.
  function widen({ map, layer: group }) {
    const pixels = map.getSize().x < 600 ? 60 : 80;
    if (group.options.maxClusterRadius === pixels) return;
    group.options.maxClusterRadius = pixels;
    const drawn = group.getLayers();
    group.clearLayers();
    group.addLayers(drawn);
  }

  // A layer too large to be sent whole says where its tiles are: then the view is drawn from them.
  async function draw(entry) {
    const turn = ++entry.turn;
    const { features, tiles } = entry.found;
    let drawn = entry.kind === "hotspots" ? features.filter(({ properties: p }) => p.significant && p.z > 0) : features;
    if (tiles) {
      const { inView } = await module("tiles");
      widen(entry);
      drawn = await inView(entry.map, tiles, entry.kind === "reports" ? "report" : "proposal", entry.kept);
    }
    if (turn !== entry.turn) return; // the view, or the layer, has changed meanwhile
    const { alone } = entry;
    show(entry, alone ? drawn.filter(({ id }) => id !== alone.feature.id) : drawn);
  }

  const ask = (url) => fetch(url, { cache: "no-cache", credentials: "same-origin", headers: { Accept: "application/geo+json, application/json" } });

  // "no-cache" asks again with the ETag: an unchanged layer costs a 304 and no drawing.
  async function fetchLayer(entry) {
    entry.at = Date.now();
    try {
      const answer = await ask(entry.url);
      if (!answer.ok) throw new Error(String(answer.status));
      const etag = answer.headers.get("ETag");
      if (!etag || etag !== entry.etag) {
        entry.found = await answer.json();
        entry.kept.clear();
        if (entry.alone) await look(entry, entry.alone.feature.properties.ref);
        await draw(entry);
      }
      entry.etag = etag;
      announce(entry.map, "", "offline");
    } catch (_) {
      announce(entry.map, words.offline, "offline");
    }
  }

  // Who asks while it is being fetched waits for that.
  function refresh(entry) {
    entry.busy = entry.busy || fetchLayer(entry).finally(() => { entry.busy = null; });
    return entry.busy;
  }

  function refreshDue() {
    if (document.visibilityState !== "visible") return;
    layers.forEach((entry) => {
      if (entry.map.hasLayer(entry.layer) && Date.now() - entry.at >= entry.every - 500) refresh(entry);
    });
  }

  // An address with other parameters; an empty one is left out.
  function asking(address, parameters) {
    const url = new URL(address, location.href);
    for (const [name, value] of parameters) {
      if (value) url.searchParams.set(name, value);
      else url.searchParams.delete(name);
    }
    return url.pathname + url.search;
  }

  // Ask a layer with another parameter. Returns how much is drawn then.
  async function reload(group, name, value) {
    const entry = layers.find((one) => one.layer === group);
    await entry.busy;
    const changed = asking(entry.url, [[name, value]]);
    if (changed !== entry.url) Object.assign(entry, { url: changed, etag: null });
    await refresh(entry);
    return entry.shown.size;
  }

  function layer(map, group, { url, kind }) {
    const slow = kind === "hotspots";
    // A page of hotspots may be about one category, or other days; one of a campaign about that.
    const page = (name) => attribute(map.getContainer(), name) || "";
    const about = slow ? new URLSearchParams(page("data-hotspots")) : kind === "reports" ? [] : [["campaign", page("data-campaign")]];
    const entry = { map, layer: group, shapes: L.layerGroup(), url: asking(url, about), kind, every: slow ? SLOW : REFRESH, found: null, kept: new Map(), shown: new Map(), alone: null, etag: null, at: 0, turn: 0, busy: null };
    layers.push(entry);
    map.on("layeradd", (event) => {
      if (event.layer !== group) return;
      entry.shapes.addTo(map);
      refresh(entry);
    });
    map.on("layerremove", (event) => {
      if (event.layer !== group) return;
      entry.shapes.remove();
      stand(entry, null);
    });
    map.on("moveend", () => {
      if (!entry.found || !entry.found.tiles || !map.hasLayer(group)) return;
      draw(entry).catch(() => announce(map, words.offline, "offline"));
    });
    if (layers.length === 1) {
      setInterval(refreshDue, REFRESH);
      document.addEventListener("visibilitychange", refreshDue);
      const ref = new URLSearchParams(location.search).get("pin");
      if (ref) find(ref, Date.now() + FIND.during);
    }
  }

  const daysOf = (group) => new URL(layers.find((one) => one.layer === group).url, location.href).searchParams.get("days");

  function months(map, group, options) {
    const first = ({ layer: added }) => {
      if (added !== group) return;
      map.off("layeradd", first);
      module("months").then(({ slider }) => slider(map, group, options, daysOf(group))).catch(() => announce(map, words.offline, "offline"));
    };
    map.on("layeradd", first);
  }

  async function find(ref, until) {
    for (const entry of layers) {
      if (!entry.map.hasLayer(entry.layer)) continue;
      for (const { layer: drawn, feature } of entry.shown.values()) {
        if (feature.properties.ref === ref && drawn.getLatLng) return highlight(entry, drawn);
      }
      if (entry.found && entry.found.tiles && await look(entry, ref)) {
        await draw(entry);
        return highlight(entry, entry.alone.layer);
      }
    }
    if (Date.now() > until) return undefined;
    await new Promise((resolve) => setTimeout(resolve, FIND.every));
    await Promise.all(layers.filter((entry) => entry.map.hasLayer(entry.layer)).map(refresh));
    return find(ref, until);
  }

  // Tiles may hold it as one of many: it is asked for by its name, and stands alone.
  async function look(entry, ref) {
    const answer = await ask(asking(entry.url, [["ref", ref]]));
    const [feature] = answer.ok ? (await answer.json()).features : [];
    if (!feature || !entry.alone || !stays(entry.alone, feature)) stand(entry, feature);
    return entry.alone;
  }

  function stand(entry, feature) {
    if (entry.alone) entry.alone.layer.remove();
    entry.alone = feature ? { feature, layer: toMarker(feature).setZIndexOffset(1000).addTo(entry.map) } : null;
  }

  function highlight(entry, marker) {
    const { map, layer: group } = entry;
    map.setView(marker.getLatLng(), Math.max(map.getZoom(), 15), { animate: false });
    const open = () => {
      const element = marker.getElement();
      if (element) element.classList.add("pin-new");
      marker.openPopup();
      announce(map, words.yours);
    };
    if (group.zoomToShowLayer && group.hasLayer(marker)) group.zoomToShowLayer(marker, open);
    else open();
  }

  // ---- the map itself -----------------------------------------------------------------------

  function announce(map, text, about) {
    const box = map.palabreStatus;
    if (!box || (about && !text && box.dataset.about !== about)) return;
    box.dataset.about = about || "";
    box.textContent = text;
  }

  function start(map, { kind }) {
    const container = map.getContainer();
    Object.assign(codes, told(container, "data-words"));
    Object.assign(modules, told(container, "data-modules"));
    container.classList.add(`map-of-${kind}`);
    container.setAttribute("role", "region");
    container.setAttribute("aria-label", attribute(container, "data-map-picker") === null ? words.map : words.pick);
    map.zoomControl.getContainer().querySelectorAll("a").forEach((button, at) => {
      button.title = at ? words.zoomOut : words.zoomIn;
      button.setAttribute("aria-label", button.title);
    });
    map.palabreStatus = container.parentElement.appendChild(make("p", "map-status"));
    map.palabreStatus.setAttribute("role", "status");
    L.control.scale({ imperial: false, maxWidth: 90 }).addTo(map);
    L.control.attribution({ prefix: false }).addAttribution(words.source).addTo(map);
    // The wheel scrolls the page until the map was chosen.
    map.scrollWheelZoom.disable();
    map.on("focus", () => map.scrollWheelZoom.enable());
    map.on("blur", () => map.scrollWheelZoom.disable());
    map.palabreAreas = {};
    const place = container.closest("[data-map-picker]");
    // Once folium's script has added all there is.
    Promise.resolve().then(() => {
      const toggle = container.querySelector(".leaflet-control-layers-toggle");
      if (toggle) { toggle.title = words.layers; toggle.setAttribute("aria-label", words.layers); }
      if (place && palabre.pick) palabre.pick(map, place);
    });
  }

  function areas(map, group, { kind }) {
    const labels = labelsOf(map);
    map.palabreAreas[kind] = group;
    const tips = [];
    if (!map.getPane("labels")) map.createPane("labels");
    group.eachLayer((part) => {
      const code = part.feature.properties.code;
      const name = labels[code];
      if (kind === "country") {
        part.on("click", () => { location.assign(`/communes/${encodeURIComponent(code)}`); });
        part.on("mouseover mouseout", (event) => {
          const path = part.getElement();
          if (path) path.classList.toggle("is-over", event.type === "mouseover");
        });
        if (name) part.bindTooltip(make("span", "", name), { sticky: true, className: "map-tip" });
      } else if (kind === "arrondissement" && name) {
        part.bindTooltip(make("span", "", name), { permanent: true, direction: "center", className: "map-label", pane: "labels" });
        tips.push(part);
      }
    });
    if (!tips.length) return;
    // A name is shown only where its area has room for it.
    const fit = () => tips.forEach((part) => {
      const element = part.getTooltip().getElement();
      if (!element) return;
      const box = part.getBounds();
      const wide = map.latLngToLayerPoint(box.getSouthEast()).x - map.latLngToLayerPoint(box.getNorthWest()).x;
      element.classList.toggle("is-cramped", wide < element.offsetWidth * 1.3);
    });
    map.on("zoomend", fit);
    map.whenReady(() => requestAnimationFrame(fit));
  }

  if (calm) {
    L.Map.mergeOptions({ zoomAnimation: false, fadeAnimation: false, markerZoomAnimation: false, inertia: false });
    if (L.MarkerClusterGroup) L.MarkerClusterGroup.prototype.options.animate = false;
  }
  window.palabre = { map: start, areas, layer, months, module, clusterIcon, reload, announce, icon, labelsOf, make, say, words, language, calm };
})();
