// Choosing a place on a map: <div data-map-picker data-lon-input="#lon" data-lat-input="#lat">
// around it. Loaded after map.js, which calls palabre.pick for such a map. Within a form that has
// data-draw the place may be drawn as a line or an area: map-draw.js comes for that.
(function () {
  "use strict";

  const { announce, icon, labelsOf, make, module, say, words, calm } = window.palabre;

  function inRing([x, y], ring) {
    let inside = false;
    for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
      const [ax, ay] = ring[i];
      const [bx, by] = ring[j];
      if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
    }
    return inside;
  }

  function areaAt(group, point) {
    let found = null;
    if (group) group.eachLayer((part) => {
      const { type, coordinates } = part.feature.geometry;
      const polygons = type === "Polygon" ? [coordinates] : coordinates;
      if (polygons.some(([outer, ...holes]) => inRing(point, outer) && !holes.some((hole) => inRing(point, hole)))) {
        found = part.feature.properties.code;
      }
    });
    return found;
  }

  function pick(map, place) {
    const container = map.getContainer();
    const field = (name) => {
      const selector = place.getAttribute(name);
      return selector ? document.querySelector(selector) : null;
    };
    const lon = field("data-lon-input");
    const lat = field("data-lat-input");
    const areaField = field("data-area-input");
    const labels = labelsOf(map);
    let marker = null;
    let ring = null;

    const target = L.divIcon({ className: "pick", iconSize: [40, 48], iconAnchor: [20, 46], html: make("span", "pick-head") });

    // The place is these points, [lon, lat]; none: it is still to be chosen. Returns what is said.
    function settle(points, accuracy) {
      const codes = [...new Set(points.map((point) => areaAt(map.palabreAreas.arrondissement, point)))];
      const within = !map.palabreAreas.commune || points.every((point) => areaAt(map.palabreAreas.commune, point));
      const [at] = points;
      if (lon) lon.value = at ? at[0].toFixed(6) : "";
      if (lat) lat.value = at ? at[1].toFixed(6) : "";
      const code = codes.length === 1 ? codes[0] : null;
      if (areaField && (code || points.length > 1)) areaField.value = code || "";
      place.classList.toggle("has-place", Boolean(at));
      place.classList.toggle("is-outside", !within);
      if (!at) return "";
      place.dispatchEvent(new CustomEvent("palabre:picked", { bubbles: true, detail: { lon: at[0], lat: at[1], area: code, inside: Boolean(within), accuracy: accuracy || null } }));
      const names = codes.map((one) => labels[one]).filter(Boolean).join(", ");
      return !within ? words.outside : names ? say("chosenIn", names) : words.chosen;
    }

    function choose(latlng, accuracy) {
      const at = latlng.wrap();
      if (!marker) {
        marker = L.marker(at, { icon: target, draggable: true, autoPan: true, title: words.move, zIndexOffset: 1000 });
        marker.addTo(map).on("dragend", () => choose(marker.getLatLng()));
        marker.getElement().setAttribute("aria-label", words.move);
      }
      marker.setLatLng(at);
      if (ring) ring.remove();
      ring = accuracy ? L.circle(at, { radius: accuracy, className: "pick-accuracy", interactive: false }).addTo(map) : null;
      const where = settle([[at.lng, at.lat]], accuracy);
      announce(map, accuracy ? `${say("located", Math.round(accuracy))} ${where}` : where);
    }

    function clear() {
      [marker, ring].forEach((layer) => layer && layer.remove());
      marker = ring = null;
    }

    let put = choose;

    function locate() {
      if (!navigator.geolocation) { announce(map, words.noPosition); return; }
      announce(map, words.locating);
      navigator.geolocation.getCurrentPosition(
        ({ coords }) => {
          const at = L.latLng(coords.latitude, coords.longitude);
          put(at, coords.accuracy);
          map.setView(at, Math.max(map.getZoom(), 16), { animate: !calm });
        },
        (error) => announce(map, error.code === error.PERMISSION_DENIED ? words.refused : words.noPosition),
        { enableHighAccuracy: true, timeout: 15000, maximumAge: 30000 },
      );
    }

    const Locate = L.Control.extend({
      options: { position: "bottomright" },
      onAdd() {
        const button = make("button", "map-locate");
        button.type = "button";
        button.append(icon("locate"), make("span", "", words.locate));
        L.DomEvent.disableClickPropagation(button);
        button.addEventListener("click", locate);
        return button;
      },
    });
    map.addControl(new Locate());
    // The place that a photo remembers, taken over by the form.
    place.addEventListener("palabre:place", ({ detail }) => {
      const at = L.latLng(detail.lat, detail.lon);
      put(at);
      map.setView(at, 16, { animate: false });
    });
    map.on("click", (event) => put(event.latlng));
    // A touch on a pin shows its card and means "here" too: the same spot may have a new problem.
    map.on("popupopen", (event) => put(event.popup.getLatLng()));
    container.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target === container) { event.preventDefault(); put(map.getCenter()); }
    });
    container.appendChild(make("span", "map-cross")).setAttribute("aria-hidden", "true");
    if (lon && lat && lon.value && lat.value && isFinite(lon.value) && isFinite(lat.value)) {
      const at = L.latLng(Number(lat.value), Number(lon.value));
      choose(at);
      map.setView(at, 16, { animate: false });
    }
    const form = place.closest("[data-draw]");
    const ready = ({ draw }) => { put = draw(map, place, form, { choose, clear, settle }); };
    if (form) module("draw").then(ready, () => {}); // where it cannot be had, a point will do
  }

  window.palabre.pick = pick;
})();
