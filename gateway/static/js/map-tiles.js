// What the view of a map holds of a layer too large to be sent whole: its vector tiles (Mapbox
// Vector Tile 2.1) as GeoJSON. Imported by map.js once a layer says that it has tiles. They hold
// points only, so that these few lines read them and no library is sent.

const SIDE = 256;
const MAX_ZOOM = 22;
const KEPT = 200;
const text = new TextDecoder();

// A protobuf message as [field, value] pairs; a value is a number or the bytes of a message.
function* fields(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const varint = () => {
    for (let value = 0, unit = 1; ; unit *= 128) {
      const byte = view.getUint8(at++);
      value += (byte & 127) * unit;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const kind = tag & 7;
    if (kind === 0) yield [tag >> 3, varint()];
    else if (kind === 1) { yield [tag >> 3, view.getFloat64(at, true)]; at += 8; }
    else if (kind === 5) { yield [tag >> 3, view.getFloat32(at, true)]; at += 4; }
    else if (kind === 2) {
      const size = varint();
      yield [tag >> 3, bytes.subarray(at, at + size)];
      at += size;
    } else throw new Error("not a vector tile");
  }
}

const whole = (value) => (value % 2 ? -(value + 1) / 2 : value / 2);

function numbers(bytes) {
  const found = [];
  let value = 0;
  let unit = 1;
  for (const byte of bytes) {
    value += (byte & 127) * unit;
    unit *= 128;
    if (byte < 128) { found.push(value); value = 0; unit = 1; }
  }
  return found;
}

function valueOf(bytes) {
  const [field, value] = fields(bytes).next().value;
  return field === 1 ? text.decode(value) : field === 6 ? whole(value) : field === 7 ? Boolean(value) : value;
}

// The points of a tile, as plain objects, each with its place in the tile from 0 to 1.
export function* points(buffer) {
  for (const [field, layer] of fields(new Uint8Array(buffer))) {
    if (field !== 3) continue;
    const [features, keys, values] = [[], [], []];
    let extent = 4096;
    for (const [part, value] of fields(layer)) {
      if (part === 2) features.push(value);
      else if (part === 3) keys.push(text.decode(value));
      else if (part === 4) values.push(valueOf(value));
      else if (part === 5) extent = value;
    }
    for (const feature of features) {
      const { 2: tags, 4: geometry } = Object.fromEntries(fields(feature));
      const [, x, y] = numbers(geometry);
      const properties = {};
      const pairs = numbers(tags || []);
      for (let at = 0; at < pairs.length; at += 2) properties[keys[pairs[at]]] = values[pairs[at + 1]];
      yield { x: whole(x) / extent, y: whole(y) / extent, properties };
    }
  }
}

function place(x, y) {
  return [x * 360 - 180, (Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180) / Math.PI];
}

function toFeature(point, kind, z, x, y) {
  const { id, created, ...properties } = point.properties;
  if (created) properties.created_at = new Date(created * 1000).toISOString();
  return {
    type: "Feature",
    id: id || [z, x, y, point.x, point.y].join("/"),
    geometry: { type: "Point", coordinates: place((x + point.x) / 2 ** z, (y + point.y) / 2 ** z) },
    properties: { kind, ...properties },
  };
}

async function load(address, kind, z, x, y) {
  const url = address.replace("{z}", z).replace("{x}", x).replace("{y}", y);
  const answer = await fetch(url, { cache: "no-cache", credentials: "same-origin" });
  if (!answer.ok) throw new Error(String(answer.status));
  return [...points(await answer.arrayBuffer())].map((point) => toFeature(point, kind, z, x, y));
}

// The features in view of a map. `kept` holds tiles by key; clear it when the layer has changed.
export async function inView(map, address, kind, kept) {
  const z = Math.min(MAX_ZOOM, Math.max(0, Math.round(map.getZoom())));
  const last = 2 ** z - 1;
  const bounds = map.getBounds();
  const corner = (latlng) => map.project(latlng, z).divideBy(SIDE).floor();
  const [from, to] = [corner(bounds.getNorthWest()), corner(bounds.getSouthEast())];
  const wanted = [];
  for (let x = Math.max(0, from.x); x <= Math.min(last, to.x); x++) {
    for (let y = Math.max(0, from.y); y <= Math.min(last, to.y); y++) wanted.push([x, y]);
  }
  if (kept.size > KEPT) kept.clear();
  const tiles = wanted.map(([x, y]) => {
    const key = `${z}/${x}/${y}`;
    if (!kept.has(key)) {
      const coming = load(address, kind, z, x, y);
      coming.catch(() => kept.delete(key));
      kept.set(key, coming);
    }
    return kept.get(key);
  });
  return (await Promise.all(tiles)).flat();
}
