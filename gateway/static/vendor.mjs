// Copies the few files the pages use out of node_modules into gateway/static/vendor/
// and draws the icons named in icons.json together into one sprite. Run: npm run vendor
import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const modules = join(here, "..", "..", "node_modules");
const target = join(here, "vendor");
const building = join(modules, `.palabre-vendor-${process.pid}`);

const FILES = {
  "leaflet/leaflet.js": "leaflet/dist/leaflet.js",
  "leaflet/leaflet.css": "leaflet/dist/leaflet.css",
  "leaflet/images": "leaflet/dist/images",
  "leaflet/LICENSE": "leaflet/LICENSE",
  "markercluster/leaflet.markercluster.js": "leaflet.markercluster/dist/leaflet.markercluster.js",
  "markercluster/MarkerCluster.css": "leaflet.markercluster/dist/MarkerCluster.css",
  "markercluster/LICENSE": "leaflet.markercluster/MIT-LICENCE.txt",
  "icons.LICENSE": "lucide-static/LICENSE",
};

const DRAWN = 'viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" ' +
  'stroke-linecap="round" stroke-linejoin="round"';

function symbol([name, source]) {
  const svg = readFileSync(join(modules, "lucide-static", "icons", `${source}.svg`), "utf8");
  const inside = svg.match(/<svg[^>]*>([\s\S]*)<\/svg>/)[1].replace(/\s*\n\s*/g, "");
  return `<symbol id="icon-${name}" ${DRAWN}>${inside}</symbol>`;
}

// A source map named in a file is asked for by developer tools and answered 404.
function withoutSourceMap(path) {
  if (path.endsWith(".js")) {
    writeFileSync(path, readFileSync(path, "utf8").replace(/\n?\/\/# sourceMappingURL=.*\s*$/, "\n"));
  }
}

rmSync(building, { recursive: true, force: true });
for (const [to, from] of Object.entries(FILES)) {
  mkdirSync(dirname(join(building, to)), { recursive: true });
  cpSync(join(modules, from), join(building, to), { recursive: true });
  withoutSourceMap(join(building, to));
}
const icons = Object.entries(JSON.parse(readFileSync(join(here, "icons.json"), "utf8")));
const sprite = `<svg xmlns="http://www.w3.org/2000/svg">\n${icons.map(symbol).join("\n")}\n</svg>\n`;
writeFileSync(join(building, "icons.svg"), sprite);

// Swapped in whole: a server already running never sees half a folder for long.
rmSync(target, { recursive: true, force: true });
renameSync(building, target);
console.log(`gateway/static/vendor: ${Object.keys(FILES).length} entries, ${icons.length} icons`);
