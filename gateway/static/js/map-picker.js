// Choosing a place on a map: <div data-map-picker data-lon-input="#lon" data-lat-input="#lat">
// around it. Loaded after map.js, which calls palabre.pick for such a map.
(function () {
  "use strict";

  const { announce, icon, labelsOf, make, say, words, calm } = window.palabre;

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
      if (lon) lon.value = at.lng.toFixed(6);
      if (lat) lat.value = at.lat.toFixed(6);
      const point = [at.lng, at.lat];
      const code = areaAt(map.palabreAreas.arrondissement, point);
      const within = !map.palabreAreas.commune || areaAt(map.palabreAreas.commune, point);
      if (areaField && code) areaField.value = code;
      place.classList.add("has-place");
      place.classList.toggle("is-outside", !within);
      const where = !within ? words.outside : code && labels[code] ? say("chosenIn", labels[code]) : words.chosen;
      announce(map, accuracy ? `${say("located", Math.round(accuracy))} ${where}` : where);
      place.dispatchEvent(new CustomEvent("palabre:picked", { bubbles: true, detail: { lon: at.lng, lat: at.lat, area: code, inside: Boolean(within), accuracy: accuracy || null } }));
    }

    function locate() {
      if (!navigator.geolocation) { announce(map, words.noPosition); return; }
      announce(map, words.locating);
      navigator.geolocation.getCurrentPosition(
        ({ coords }) => {
          const at = L.latLng(coords.latitude, coords.longitude);
          choose(at, coords.accuracy);
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
      choose(at);
      map.setView(at, 16, { animate: false });
    });
    map.on("click", (event) => choose(event.latlng));
    // A touch on a pin shows its card and means "here" too: the same spot may have a new problem.
    map.on("popupopen", (event) => choose(event.popup.getLatLng()));
    container.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target === container) { event.preventDefault(); choose(map.getCenter()); }
    });
    if (lon && lat && lon.value && lat.value && isFinite(lon.value) && isFinite(lat.value)) {
      const at = L.latLng(Number(lat.value), Number(lon.value));
      choose(at);
      map.setView(at, 16, { animate: false });
    }
  }

  window.palabre.pick = pick;
})();
