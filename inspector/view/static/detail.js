// One verdict or result, by its permanent link: the picture with a border to slide, and all that is known of it.

import { $, make, shape } from "./dom.js";
import { message } from "./link.js";
import { defects } from "./lists.js";
import { Picture } from "./picture.js";
import { clock, number, said, t } from "./words.js";

const MOST_REGIONS = 20;
const dialog = $("#detail");
let place = null;
let shown = null; // the pictures of what is open

export const isOpen = () => dialog.open;

export function open(link) {
  location.hash = `#/${link}`;
}

export function close() {
  dialog.close();
}

dialog.addEventListener("close", () => {
  place = null;
  release(shown);
  shown = null;
  if (location.hash.startsWith("#/")) history.pushState(null, "", location.pathname);
});

// To the next older (1) or newer (-1) defect.
export function step(by) {
  const links = defects().map((row) => row.link);
  const at = links.indexOf(place);
  const next = at < 0 ? 0 : at + by;
  if (links[next] !== undefined) open(links[next]);
}

export function slide(by) {
  const slider = $("#slider");
  if (slider === null) return;
  slider.value = Number(slider.value) + by;
  slider.dispatchEvent(new Event("input"));
}

// Show what the address names; nothing, if it names nothing.
export async function follow() {
  if (!location.hash.startsWith("#/")) {
    if (dialog.open) dialog.close();
    return;
  }
  const wanted = (place = location.hash.slice(2));
  const isWanted = () => place === wanted; // until another one is asked for
  const told = await message(wanted, isWanted);
  const pictures = told?.picture && isWanted() ? await Picture.load(told.picture, told.parts) : null;
  if (!isWanted()) return release(pictures);
  release(shown);
  shown = pictures;
  dialog.replaceChildren(bar(), ...(told === null ? [make("p", { class: "gone" }, t("gone"))] : content(told)));
  dialog.dataset.link = wanted;
  if (!dialog.open) dialog.showModal();
}

// What is not shown any more; a frame at its own size takes a hundred megabytes.
function release(pictures) {
  pictures?.base?.close();
  for (const { image } of pictures?.pieces ?? []) image.close();
}

function bar() {
  const button = (key, act) => make("button", { type: "button", id: `detail-${key}`, click: act }, t(key));
  const copy = async (event) => {
    const button = event.currentTarget;
    await navigator.clipboard.writeText(location.href);
    button.textContent = t("copied");
  };
  const buttons = [button("previous", () => step(1)), button("next", () => step(-1))];
  if (navigator.clipboard) buttons.push(button("copy_link", copy));
  return make("nav", {}, ...buttons, button("close", close));
}

function content(told) {
  const { row, header } = told;
  const title = make("h2", {}, shape(row.verdict), ` ${t(`verdict.${row.verdict}`)} · ${row.camera} · ${t("frame")} ${row.frame}`);
  return [title, ...(told.picture ? compared(told) : []), facts(row, header), regions(header), raw(told.raw)];
}

function compared(told) {
  const picture = new Picture(make("canvas"));
  picture.border = 0.5;
  picture.show(shown);
  const move = () => {
    picture.border = 1 - slider.value / 100;
    picture.draw();
  };
  const slider = make("input", {
    type: "range", id: "slider", min: 0, max: 100, value: 50, "aria-label": t("compare"), input: move,
  });
  const note = told.is_whole ? null : make("p", {}, t(told.picture.base === null ? "frame_missing" : "frame_small"));
  return [picture.canvas, make("label", { class: "compare" }, t("before"), slider, t("repaired")), note].filter(Boolean);
}

function facts(row, header) {
  const milliseconds = Object.entries(header.latency).filter(([, each]) => each > 0);
  const facts = {
    at: clock(row.at, true),
    part: row.part,
    reason: row.reason && said("reason", row.reason),
    cause: row.cause && said("cause", row.cause),
    score: row.score === null ? null : number(row.score, 4),
    threshold: header.threshold === null ? null : number(header.threshold, 4),
    residual: row.residual === null ? null : number(row.residual, 4),
    latency: `${t("ms", { count: number(row.latency * 1000, 1) })} (${milliseconds.map(([stage, each]) => `${said("stage", stage)} ${number(each * 1000, 1)}`).join(", ")})`,
    model: header.model && `${header.model.name} ${header.model.sha256.slice(0, 12)}, ${header.model.provider}, ${header.model.precision ?? ""}`,
    position: header.position,
    calibration: header.calibration?.date,
    config: header.config.slice(0, 12),
  };
  const known = Object.entries(facts).filter(([, value]) => value);
  return make("dl", {}, ...known.map(([key, value]) => make("div", { "data-fact": key }, make("dt", {}, t(key)), make("dd", {}, value))));
}

function regions({ defects }) {
  const listed = defects.slice(0, MOST_REGIONS).map(({ box, area, score }) =>
    make("li", {}, t("region", { box: box.join(", "), area: number(area), score: number(score, 2) })),
  );
  if (defects.length > MOST_REGIONS) listed.push(make("li", {}, t("other", { count: number(defects.length - MOST_REGIONS) })));
  return make("ol", { class: "regions" }, ...listed);
}

// The message as it was published; what a field means stands beside it, where it is not copied with it.
function raw(header) {
  const parts = header.split(/("(?:[^"\\]|\\.)*")(?=\s*:)/); // at the names of fields
  const shown = parts.map((part, at) => (at % 2 ? field(part) : part));
  return make("details", {}, make("summary", {}, t("header")), make("pre", {}, ...shown));
}

function field(quoted) {
  const name = JSON.parse(quoted);
  const word = ["field", "stage"].map((family) => said(family, name)).find((each) => each !== name);
  return word === undefined ? quoted : make("span", { class: "field", "data-word": word }, quoted);
}
