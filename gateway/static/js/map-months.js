// A slider over the last months for a layer that has an `until`: the hotspots. Imported by map.js
// when the layer is first shown; the control is there while the layer is.

const { make, say, words, language, reload } = window.palabre;
const HOUR = 3600000;
const name = new Intl.DateTimeFormat(language, { month: "long", year: "numeric", timeZone: "UTC" });

// The last `count` months in Bénin (UTC+1), oldest first: what to call them, and their last day.
// The present one has none: it goes up to now.
export function months(count, now) {
  const here = new Date(now.getTime() + HOUR);
  const [year, month] = [here.getUTCFullYear(), here.getUTCMonth()];
  return Array.from({ length: count }, (_, at) => {
    const back = count - 1 - at;
    const end = new Date(Date.UTC(year, month - back + 1, 0));
    return { text: name.format(end), until: back ? end.toISOString().slice(0, 10) : "" };
  });
}

export function slider(map, group, { count }, days) {
  const steps = months(count, new Date());
  const control = L.control({ position: "bottomleft" });
  const box = make("div", "map-months");
  const label = box.appendChild(make("label", "map-months-title", say("hotspots", days)));
  const range = make("input", "map-months-range");
  Object.assign(range, { type: "range", min: 0, max: count - 1, step: 1, value: count - 1, id: `${map.getContainer().id}-months` });
  label.htmlFor = range.id;
  const said = box.appendChild(make("output", "map-months-said"));
  said.htmlFor.add(range.id);
  box.appendChild(range);
  const ends = box.appendChild(make("p", "map-months-ends"));
  ends.append(make("span", "", steps[0].text), make("span", "", steps[count - 1].text));
  ends.setAttribute("aria-hidden", "true");
  const legend = box.appendChild(make("p", "map-heat"));
  legend.append(make("span", "", words.likely));
  for (let heat = 1; heat <= 4; heat++) legend.append(make("i", `heat-${heat}`));
  legend.append(make("span", "", words.unlikely));
  L.DomEvent.disableClickPropagation(box);
  L.DomEvent.disableScrollPropagation(box);
  control.onAdd = () => box;

  const tell = (found) => {
    const step = steps[range.value];
    range.setAttribute("aria-valuetext", step.text);
    said.textContent = found === undefined ? step.text : `${step.text} · ${found ? say(found > 1 ? "areas" : "area", found) : words.noArea}`;
  };
  let waiting = 0;
  const choose = async () => {
    const { until } = steps[range.value];
    const found = await reload(group, "until", until);
    if (until === steps[range.value].until) tell(found);
  };
  range.addEventListener("input", () => {
    tell();
    clearTimeout(waiting);
    waiting = setTimeout(choose, 250);
  });
  const hot = (on) => map.getContainer().classList.toggle("is-hot", on);
  const appear = () => { hot(true); control.addTo(map); tell(); choose(); };
  map.on("layeradd", (event) => { if (event.layer === group) appear(); });
  map.on("layerremove", (event) => { if (event.layer === group) { hot(false); control.remove(); } });
  if (map.hasLayer(group)) appear();
}
