// Palabre's maps. Loaded after Leaflet and before the script that folium wrote, which calls
// palabre.map, palabre.areas and palabre.layer. Whatever people wrote reaches the page only
// through textContent.
(function () {
  "use strict";

  // The page names the sprite it has already fetched.
  const SPRITE = document.documentElement.dataset.sprite || "/static/vendor/icons.svg";
  const SVG = "http://www.w3.org/2000/svg";
  const REFRESH = 20000;
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
      move: "Lieu choisi : faites-le glisser pour le corriger", yours: "Votre envoi est sur la carte.",
      offline: "La carte n'a pas pu être mise à jour.", group: "{0} éléments : agrandir",
      map: "Carte. Flèches pour se déplacer, + et − pour zoomer.",
      pick: "Carte. Flèches pour se déplacer, + et − pour zoomer, Entrée pour choisir le centre.",
      report: "Signalement", proposal: "Proposition",
      waste: "Ordures", lighting: "Éclairage public", roads: "Route ou piste", drainage: "Caniveau, inondation",
      water: "Eau potable", occupation: "Occupation anarchique", noise: "Bruit", buildings: "Bâtiment public",
      markets: "Marché", other: "Autre",
      received: "Reçu", acknowledged: "Pris en compte", in_progress: "En cours", resolved: "Résolu",
      rejected: "Rejeté", reopened: "Rouvert", submitted: "Déposée", shortlisted: "Retenue pour le vote",
      not_feasible: "Non réalisable", funded: "Financée", not_funded: "Non financée",
    },
    en: {
      zoomIn: "Zoom in", zoomOut: "Zoom out", layers: "Choose what the map shows",
      source: "Boundaries: © OpenStreetMap contributors", open: "See more", close: "Close",
      locate: "My position", locating: "Looking for your position…",
      located: "Position found, within {0} m.", noPosition: "Your position could not be found. Tap the map at the right place.",
      refused: "Access to your position is denied. Tap the map at the right place.",
      chosen: "Place chosen.", chosenIn: "Place chosen: {0}.", outside: "This place is outside the commune.",
      move: "Chosen place: drag to correct it", yours: "What you sent is on the map.",
      offline: "The map could not be brought up to date.", group: "{0} items: zoom in",
      map: "Map. Arrows to move, + and − to zoom.",
      pick: "Map. Arrows to move, + and − to zoom, Enter to choose the centre.",
      report: "Report", proposal: "Proposal",
      waste: "Waste", lighting: "Street lighting", roads: "Road or track", drainage: "Drain, flooding",
      water: "Drinking water", occupation: "Unlawful occupation", noise: "Noise", buildings: "Public building",
      markets: "Market", other: "Other",
      received: "Received", acknowledged: "Acknowledged", in_progress: "In progress", resolved: "Resolved",
      rejected: "Rejected", reopened: "Reopened", submitted: "Submitted", shortlisted: "Shortlisted for the vote",
      not_feasible: "Not feasible", funded: "Funded", not_funded: "Not funded",
    },
  };
  const language = document.documentElement.lang.slice(0, 2) === "en" ? "en" : "fr";
  const words = WORDS[language];
  const number = new Intl.NumberFormat(language);
  const day = new Intl.DateTimeFormat(language, { day: "numeric", month: "long", year: "numeric", timeZone: "Africa/Porto-Novo" });

  // Status -> tone; map.css gives each tone its colour.
  const TONES = {
    received: "sky", submitted: "sky", acknowledged: "ochre", in_progress: "ochre", reopened: "clay",
    resolved: "green", shortlisted: "green", funded: "green",
    rejected: "grey", not_feasible: "grey", not_funded: "grey",
  };
  const CATEGORIES = ["waste", "lighting", "roads", "drainage", "water", "occupation", "noise", "buildings", "markets", "other"];
  const PLACES = { report: "/signalements/", proposal: "/propositions/" };

  const say = (key, value) => (words[key] || String(key || "").replace(/_/g, " ")).replace("{0}", value);

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

  function labelsOf(map) {
    try {
      return JSON.parse(attribute(map.getContainer(), "data-labels") || "{}");
    } catch (_) {
      return {};
    }
  }

  // ---- pins -------------------------------------------------------------------------------

  function iconOf({ kind, category, status }) {
    if (kind === "report") return CATEGORIES.includes(category) ? category : "other";
    return status === "funded" ? "trophy" : "lightbulb";
  }

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
      const kind = p.kind === "proposal" ? "proposal" : "report";
      const pin = dressed(this, `pin pin-${kind} tone-${TONES[p.status] || "sky"}`);
      pin.appendChild(make("span", "pin-head")).appendChild(icon(iconOf(p)));
      pin.setAttribute("aria-label", nameOf(p));
      return pin;
    },
    createShadow() { return null; },
  });

  function nameOf(p) {
    return [p.kind === "proposal" ? p.title || words.proposal : say(p.category), say(p.status)].join(", ");
  }

  function card(p) {
    const box = make("div", "pin-card");
    const kind = p.kind === "proposal" ? "proposal" : "report";
    box.appendChild(make("p", "pin-kind", `${words[kind]} ${p.ref || ""}`));
    box.appendChild(make("h3", "pin-title", p.title || say(p.category)));
    const facts = box.appendChild(make("p", "pin-facts"));
    facts.appendChild(make("span", `pin-status tone-${TONES[p.status] || "sky"}`, say(p.status)));
    if (Number.isFinite(p.cost)) facts.appendChild(make("span", "pin-cost", `${number.format(p.cost)} FCFA`));
    const date = new Date(p.created_at);
    if (!isNaN(date)) facts.appendChild(make("time", "", day.format(date))).dateTime = p.created_at;
    if (p.ref) {
      const link = box.appendChild(make("a", "pin-link", words.open));
      link.href = PLACES[kind] + encodeURIComponent(p.ref);
      link.appendChild(icon("chevron-right"));
    }
    return box;
  }

  function clusterIcon(cluster) {
    const count = cluster.getChildCount();
    const size = count < 10 ? 38 : count < 100 ? 44 : 52;
    const Group = L.Icon.extend({
      createIcon() {
        const kind = cluster.getAllChildMarkers()[0].options.properties.kind;
        const disc = dressed(this, `cluster cluster-${kind === "proposal" ? "proposal" : "report"}`);
        disc.appendChild(make("span", "", number.format(count)));
        disc.setAttribute("aria-label", say("group", count));
        return disc;
      },
      createShadow() { return null; },
    });
    return new Group({ iconSize: [size, size], iconAnchor: [size / 2, size / 2] });
  }

  // ---- layers fetched by URL ----------------------------------------------------------------

  const layers = [];

  function toLayer(feature) {
    const properties = feature.properties || {};
    if (feature.geometry && feature.geometry.type === "Point") {
      const [lon, lat] = feature.geometry.coordinates;
      const marker = L.marker([lat, lon], { icon: new Pin({ properties }), properties, keyboard: true, riseOnHover: true });
      return marker.bindPopup(() => card(properties), { maxWidth: 260, minWidth: 190, closeButton: true });
    }
    const heat = Math.min(4, Math.max(1, Math.round(Number(properties.z) || 1)));
    return L.geoJSON(feature, {
      style: { className: properties.kind ? "map-work" : `map-hotspot heat-${heat}` },
    }).bindTooltip(() => make("span", "", properties.sentence || properties.title || ""), { sticky: true, className: "map-tip" });
  }

  function identify(feature, at) {
    const p = feature.properties || {};
    return String(feature.id || p.id || p.ref || at);
  }

  // Only what changed is redrawn, so that an open card stays open and nothing flickers.
  function show(entry, collection) {
    const wanted = new Map();
    (collection.features || []).forEach((feature, at) => {
      if (feature.geometry) wanted.set(identify(feature, at), feature);
    });
    const gone = [];
    const fresh = [];
    for (const [id, known] of entry.shown) {
      const next = wanted.get(id);
      if (!next || JSON.stringify(next) !== known.text) {
        gone.push(known.layer);
        entry.shown.delete(id);
      }
    }
    for (const [id, feature] of wanted) {
      if (entry.shown.has(id)) continue;
      const layer = toLayer(feature);
      entry.shown.set(id, { layer, text: JSON.stringify(feature), ref: (feature.properties || {}).ref });
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

  // "no-cache" asks again with the ETag: an unchanged layer costs a 304 and no drawing.
  async function refresh(entry) {
    if (entry.busy) return;
    entry.busy = true;
    entry.at = Date.now();
    try {
      const answer = await fetch(entry.url, { cache: "no-cache", credentials: "same-origin", headers: { Accept: "application/geo+json, application/json" } });
      if (!answer.ok) throw new Error(String(answer.status));
      const etag = answer.headers.get("ETag");
      if (!etag || etag !== entry.etag) show(entry, await answer.json());
      entry.etag = etag;
      announce(entry.map, "", "offline");
    } catch (_) {
      announce(entry.map, words.offline, "offline");
    } finally {
      entry.busy = false;
    }
  }

  function refreshDue() {
    if (document.visibilityState !== "visible") return;
    layers.forEach((entry) => {
      if (entry.map.hasLayer(entry.layer) && Date.now() - entry.at >= REFRESH - 500) refresh(entry);
    });
  }

  function layer(map, group, { url, kind }) {
    const entry = { map, layer: group, url, kind, shown: new Map(), etag: null, at: 0, busy: false };
    layers.push(entry);
    map.on("layeradd", (event) => { if (event.layer === group) refresh(entry); });
    if (layers.length === 1) {
      setInterval(refreshDue, REFRESH);
      document.addEventListener("visibilitychange", refreshDue);
      const ref = new URLSearchParams(location.search).get("pin");
      if (ref) find(ref, Date.now() + FIND.during);
    }
  }

  async function find(ref, until) {
    for (const entry of layers) {
      if (!entry.map.hasLayer(entry.layer)) continue;
      for (const known of entry.shown.values()) {
        if (known.ref === ref && known.layer.getLatLng) return highlight(entry, known.layer);
      }
    }
    if (Date.now() > until) return undefined;
    await new Promise((resolve) => setTimeout(resolve, FIND.every));
    await Promise.all(layers.filter((e) => e.map.hasLayer(e.layer)).map(refresh));
    return find(ref, until);
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
    if (group.zoomToShowLayer) group.zoomToShowLayer(marker, open);
    else open();
  }

  // ---- the map itself -----------------------------------------------------------------------

  function announce(map, text, about) {
    const box = map.palabreStatus;
    if (!box || (about && !text && box.dataset.about !== about)) return;
    box.dataset.about = about || "";
    box.textContent = text;
  }

  function start(map, told) {
    const container = map.getContainer();
    container.classList.add(`map-of-${told.kind}`);
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
    map.whenReady(() => {
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
  window.palabre = { map: start, areas, layer, clusterIcon, announce, icon, labelsOf, make, say, words, calm };
})();
