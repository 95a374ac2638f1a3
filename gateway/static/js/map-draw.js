// A point, a line or an area, drawn: map-picker.js imports this where a form has data-draw. Writes
// GeoJSON into the field "geometry". The first functions know no page.

const KINDS = { point: ["Point", 1], line: ["LineString", 2], area: ["Polygon", 3] };

const cross = ([ax, ay], [bx, by], [cx, cy]) => (bx - ax) * (cy - ay) - (by - ay) * (cx - ax);
// The side of a and b where c is; 0 on their line. Corners are whole 1e-6 degrees.
const side = (a, b, c) => Math.sign(Math.round(cross(a, b, c) * 1e12));
const on = (a, b, c) => !side(a, b, c) && [0, 1].every((i) => (a[i] - c[i]) * (c[i] - b[i]) >= 0);
const folds = (a, b, c) => on(a, b, c) || on(b, c, a);
const meet = (a, b, c, d) => on(a, b, c) || on(a, b, d) || on(c, d, a) || on(c, d, b)
  || (side(a, b, c) !== side(a, b, d) && side(c, d, a) !== side(c, d, b));

// Whether the way along the corners (closed: and back) never meets itself.
export function simple(corners, closed) {
  const last = corners.length - (closed ? 1 : 2);
  for (let i = 0; i < last; i++) {
    for (let j = i + 1; j <= last; j++) {
      const [a, b, c, d] = [corners[i], corners[i + 1], corners[j], corners[j + 1] || corners[0]];
      if (j === i + 1 ? folds(a, b, d) : d === a ? folds(c, a, b) : meet(a, b, c, d)) return false;
    }
  }
  return true;
}

// GeoJSON, a ring counter-clockwise (RFC 7946); null while it is none.
export function toGeometry(kind, corners) {
  const [type, least] = KINDS[kind];
  if (corners.length < least || (kind === "area" && !simple(corners, true))) return null;
  const [first] = corners;
  const size = corners.reduce((sum, at, i) => sum + cross(first, corners.at(i - 1), at), 0);
  const ring = size < 0 ? [...corners].reverse() : corners;
  return { type, coordinates: { point: first, line: corners, area: [[...ring, ring[0]]] }[kind] };
}

const fromGeometry = ({ type, coordinates: at }) =>
  ({ Point: ["point", [at]], LineString: ["line", at] })[type] || ["area", at[0].slice(0, -1)];

const corner = ({ lng, lat }) => [Number(lng.toFixed(6)), Number(lat.toFixed(6))];
const flip = (corners) => corners.map(([lon, lat]) => [lat, lon]);

export function draw(map, place, form, { choose, clear, settle }) {
  const { announce, make } = window.palabre;
  const { geometry: field, lon, lat } = form.elements;
  const words = JSON.parse(map.getContainer().dataset.drawWords);
  const icon = L.divIcon({ className: "draw-corner", iconSize: [40, 40] });
  const drawn = L.featureGroup().addTo(map);
  let [kind, corners, ended] = [];

  function redraw() {
    drawn.clearLayers();
    if (kind === "point") return;
    const path = L[kind === "area" ? "polygon" : "polyline"](flip(corners), { className: "map-shape", interactive: false }).addTo(drawn);
    corners.forEach((_, at) => {
      const moved = ({ target }) => corners.map((old, i) => (i === at ? corner(target.getLatLng()) : old));
      L.marker(flip(corners)[at], { icon, draggable: true, autoPan: true, keyboard: false }).addTo(drawn)
        .on("drag", (event) => path.setLatLngs(flip(moved(event))))
        .on("dragend", (event) => take(moved(event), corners.length > 2))
        .on("click", () => at || end());
    });
  }

  function write(said) {
    redraw();
    const shape = toGeometry(kind, corners);
    field.value = shape ? JSON.stringify(shape) : "";
    const where = settle(shape ? corners : []);
    const [, least] = KINDS[kind];
    const more = corners.length < least ? words.more.replace("{0}", least) : where || words.crossing;
    announce(map, said || `${words.count.replace("{0}", corners.length)} ${more}`);
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  // An area that would meet itself stays as it was.
  function take(wanted, closed) {
    if (kind === "area" && !simple(wanted, closed)) {
      redraw();
      return announce(map, words.crossing);
    }
    corners = wanted;
    return write();
  }

  function put(latlng, accuracy) {
    if (kind === "point") return choose(latlng, accuracy);
    map.closePopup();
    if (ended) return announce(map, words.ended);
    const [last = [90, 0]] = flip(corners.slice(-1));
    const pixel = (at) => map.latLngToLayerPoint(at);
    if (pixel(last).distanceTo(pixel(latlng)) < 6) return null; // a double tap
    return take([...corners, corner(latlng)]);
  }

  function end() {
    ended = toGeometry(kind, corners);
    write(ended && words.ended);
  }

  function start(next, kept) {
    [kind, corners, ended] = [next, kept];
    clear();
    buttons.hidden = kind === "point";
    write(!kept.length && words[`of_${kind}`]);
    if (buttons.hidden && kept.length) choose(L.latLng(flip(kept)[0]));
  }

  const bar = make("fieldset", "draw-bar");
  bar.append(make("legend", "", words.what));
  for (const value in KINDS) {
    const radio = Object.assign(make("input"), { type: "radio", name: "draw-kind", value });
    radio.setAttribute("form", ""); // it is not sent
    bar.appendChild(make("label", "draw-kind")).append(radio, make("span", "", words[value]));
  }
  bar.addEventListener("change", ({ target }) => start(target.value, corners.slice(0, 1)));
  const buttons = bar.appendChild(make("div", "draw-buttons"));
  const button = (name, act) => {
    const made = buttons.appendChild(make("button", "button quiet", words[name]));
    made.type = "button";
    made.addEventListener("click", act);
  };
  button("undo", () => { ended = null; take(corners.slice(0, -1)); });
  button("done", end);
  button("again", () => start(kind, []));
  place.before(bar);
  map.doubleClickZoom.disable();

  place.addEventListener("palabre:picked", ({ detail }) => {
    if (kind !== "point") return;
    corners = [corner(L.latLng(detail.lat, detail.lon))];
    field.value = JSON.stringify(toGeometry(kind, corners));
  });

  let found = ["point", lon.value ? [[Number(lon.value), Number(lat.value)]] : []];
  try { found = fromGeometry(JSON.parse(field.value)); } catch (_) { /* none yet */ }
  bar.querySelector(`[value=${found[0]}]`).checked = true;
  start(...found);
  if (found[1].length > 1) map.fitBounds(drawn.getBounds(), { maxZoom: 17, animate: false });
  return put;
}
