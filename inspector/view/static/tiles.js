// A tile a camera: its newest picture or its last defect, stamped with verdict and age, and what the camera does.

import { choices, choose } from "./choices.js";
import { $, Mark, make, note, say, shape } from "./dom.js";
import { Picture } from "./picture.js";
import { number, said, seconds, t } from "./words.js";

const FRESH = 5; // seconds for which a tile shows plainly that there was a defect
const OLD = 3; // seconds by which a live picture may be behind the last verdict; a slow line's pictures are not old
const VERDICTS = ["ok", "ng", "unknown"];
const WELL = [null, "streaming", "waiting"];
const now = () => performance.now() / 1000;

class Tile {
  constructor(name) {
    this.name = name;
    this.canvas = make("canvas", { width: 640, height: 480 });
    this.about = make("span");
    this.stamped = new Mark();
    this.stamp = make("p", { class: "stamp", hidden: "" }, this.stamped.element, " ", this.about);
    this.badge = new Mark({ class: "badge" });
    this.counts = Object.fromEntries(VERDICTS.map((each) => [each, make("span")]));
    this.rate = make("span", { class: "rate" });
    const counts = VERDICTS.flatMap((each) => [shape(each), this.counts[each]]);
    this.note = make("p", { class: "note" });
    this.element = make(
      "article",
      { class: "tile", tabindex: "0", "data-camera": name, click: () => toggle(name), keydown: (e) => this.#key(e) },
      make("header", {}, make("h2", {}, name), this.badge.element),
      make("div", { class: "frame" }, this.canvas, this.stamp, this.note),
      make("p", { class: "counts" }, ...counts, this.rate),
    );
    this.picture = new Picture(this.canvas);
    this.live = this.defect = null;
    this.liveAt = this.defectAt = null;
    this.brief = null;
  }

  // whole: what came before does not count, as this is all that the server has
  async take(brief, told, { at, parts, whole }) {
    this.brief = brief;
    this.lastAt = brief.age === null ? null : at - brief.age;
    this.liveAt = told.live_age === undefined ? null : at - told.live_age;
    this.defectAt = told.defect_age === undefined ? null : at - told.defect_age;
    const before = [this.live, this.defect];
    if (whole && !told.live) this.live = null;
    if (whole && !told.defect) this.defect = null;
    if (told.defect) this.defect = await Picture.load(told.defect, parts);
    if (told.live) {
      const same = told.live.is_defect && this.defect?.frame === told.live.frame ? this.defect : {};
      const live = await Picture.load(told.live, parts);
      this.live = { ...live, outlines: same.outlines ?? [], pieces: same.pieces ?? [] };
    }
    for (const old of before) if (old && old !== this.live && old !== this.defect) old.base?.close(); // a megabyte each
    this.draw(); // each as soon as it is decoded
  }

  draw() {
    const live = choices.mode === "live" && this.live !== null;
    const shown = live ? this.live : this.defect;
    this.picture.border = choices.repaired ? 0 : 1;
    this.picture.outline = choices.outline;
    if (shown) this.picture.show(shown);
    else this.picture.clear();
    note(this.element, "frame", shown?.frame ?? "");
    note(this.element, "shown", shown?.verdict ?? "");
    this.age();
    if (this.brief) this.#describe(this.brief);
    this.element.classList.toggle("chosen", choices.camera === this.name);
  }

  // What changes without any message.
  age() {
    const live = choices.mode === "live" && this.live !== null;
    const shown = live ? this.live : this.defect;
    const at = live ? this.liveAt : this.defectAt;
    const since = this.defectAt === null ? Infinity : now() - this.defectAt;
    const stale = document.body.classList.contains("stale");
    const old = live && (stale || this.lastAt - at > OLD);
    this.element.classList.toggle("fresh", since < FRESH);
    this.element.classList.toggle("old", old || this.#isIll());
    this.stamp.hidden = !shown;
    if (shown) {
      this.stamped.show(shown.verdict, t(`verdict.${shown.verdict}`));
      say(this.about, `${t("frame")} ${shown.frame} · ${t("seconds_ago", { seconds: seconds(now() - at) })}`);
    }
    const notes = [];
    if (this.#isIll()) notes.push(said("state", this.brief.state));
    if (this.brief?.last?.cause) notes.push(said("cause", this.brief.last.cause));
    if (old) notes.push(t("old_picture", { seconds: seconds(now() - at) }));
    else if (since < FRESH) notes.push(t("defect_ago", { seconds: seconds(since) }));
    if (!shown) notes.push(choices.mode === "live" ? t("no_pictures") : t("no_defects"));
    else if (!shown.base) notes.push(t("frame_missing"));
    say(this.note, notes.join(" · "));
  }

  #isIll() {
    return this.brief !== null && !WELL.includes(this.brief.state);
  }

  #describe(brief) {
    const verdict = brief.last?.verdict ?? null;
    note(this.element, "verdict", verdict ?? "");
    this.badge.show(verdict, verdict === null ? "" : t(`verdict.${verdict}`));
    for (const each of VERDICTS) {
      note(this.element, each, brief[each]);
      say(this.counts[each], number(brief[each]));
    }
    say(this.rate, `${number(brief.rate)} ${t("rate")}`);
  }

  #key(event) {
    if (event.key === " ") toggle(this.name);
    else if (event.key === "Enter") this.element.dispatchEvent(new CustomEvent("open-defect", { bubbles: true, detail: this.name }));
    else return;
    event.preventDefault();
  }
}

const tiles = new Map();

export const names = () => [...tiles.keys()];

export function toggle(name) {
  choose("camera", choices.camera === name ? null : name);
}

export async function take(update) {
  const { cameras, pictures } = update;
  const missing = update.whole ? names().filter((name) => !(name in cameras)) : [];
  const added = Object.keys(cameras).filter((name) => !tiles.has(name));
  for (const name of missing) tiles.delete(name);
  for (const name of added) tiles.set(name, new Tile(name));
  if (missing.length + added.length > 0) arrange();
  await Promise.all(Object.entries(cameras).map(([name, brief]) => tiles.get(name).take(brief, pictures[name], update)));
}

export function draw() {
  for (const tile of tiles.values()) tile.draw();
}

export function age() {
  for (const tile of tiles.values()) tile.age();
}

function arrange() {
  const sorted = [...tiles.keys()].sort((one, other) => one.localeCompare(other, "en", { numeric: true }));
  const ordered = sorted.map((each) => [each, tiles.get(each)]);
  tiles.clear();
  for (const [each, tile] of ordered) tiles.set(each, tile);
  $("#tiles").replaceChildren(...ordered.map(([, tile]) => tile.element));
  $("#tiles").dataset.many = ordered.length > 9 ? "16" : ordered.length > 4 ? "9" : "4";
}
