// The newest verdicts and the last defects; each leads to its permanent link.

import { $, make, shape } from "./dom.js";
import { clock, number, said, t } from "./words.js";

const MOST = 60; // rows of each list
const PAUSE = 500; // milliseconds: nobody reads faster, and a list costs more to draw than a picture
const rows = { rows: [], defects: [] };
const drawn = { rows: null, defects: null };
let drawnAt = -Infinity;
let isPressed = false;

for (const [event, pressed] of [["pointerdown", true], ["pointerup", false], ["pointercancel", false]])
  addEventListener(event, () => (isPressed = pressed), true);

export const defects = () => rows.defects;

export function take(update) {
  for (const list of ["rows", "defects"]) {
    const before = update.whole ? [] : rows[list];
    if (update.whole || update[list].length > 0) rows[list] = [...update[list].reverse(), ...before].slice(0, MOST);
  }
  draw();
}

export function draw() {
  if (isPressed || performance.now() - drawnAt < PAUSE) return; // a row that went while it is pressed is never clicked
  drawnAt = performance.now();
  for (const list of ["rows", "defects"]) {
    if (drawn[list] === rows[list]) continue;
    drawn[list] = rows[list];
    fill($(`#${list} ol`), rows[list]);
  }
}

// What is there already stays, or the keyboard would lose its place; the row that has it stays though it is too old.
function fill(element, rows) {
  const kept = new Map([...element.children].map((item) => [item.firstElementChild?.dataset.link, item]));
  const links = new Set(rows.map((row) => row.link));
  for (const [link, item] of kept) if (!links.has(link) && !item.contains(document.activeElement)) item.remove();
  let next = element.firstElementChild;
  for (const row of rows) {
    const item = kept.get(row.link) ?? make("li", {}, line(row));
    if (item === next) next = item.nextElementSibling;
    else element.insertBefore(item, next);
  }
  if (element.firstElementChild === null) element.append(make("li", {}, t("no_defects")));
}

function line(row) {
  const why = row.cause ? said("cause", row.cause) : row.reason ? said("reason", row.reason) : null;
  return make(
    "a",
    { href: `#/${row.link}`, "data-link": row.link, "data-verdict": row.verdict },
    shape(row.verdict),
    make("b", {}, t(`verdict.${row.verdict}`)),
    make("span", { class: "who" }, `${row.camera} ${row.frame}`),
    make("span", { class: "why" }, why ?? (row.score === null ? "" : number(row.score, 2))),
    make("time", {}, clock(row.at)),
  );
}
