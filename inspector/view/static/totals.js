// The line's name, whether it runs, and all verdicts since this view began to listen.

import { $, make, shape } from "./dom.js";
import { number, t } from "./words.js";

const SHAPES = { running: "ok", silent: "off", stopped: "off", waiting: "unknown" };

export function show({ daemon, cameras, stations }) {
  $("#line").textContent = daemon.line ?? "";
  document.title = daemon.line ?? "inspector";
  $("#daemon").replaceChildren(shape(SHAPES[daemon.state]), make("b", {}, t(`daemon.${daemon.state}`)));
  $("#daemon").dataset.state = daemon.state;
  const all = Object.values(cameras);
  const sum = (name) => all.reduce((total, camera) => total + camera[name], 0);
  const figures = ["ok", "ng", "unknown"].map((each) => figure(t(`verdict.${each}`), sum(each), each, each));
  figures.push(figure(t("rate"), sum("rate"), "rate"));
  if (daemon.restarts) figures.push(figure(t("restarts"), daemon.restarts, "restarts"));
  figures.push(figure(t("missing"), daemon.missing, "missing"));
  for (const [name, of] of Object.entries(stations)) figures.push(parts(name, of));
  $("#totals").replaceChildren(...figures);
}

function figure(word, value, id, shaped = null) {
  const shown = shaped ? [shape(shaped), number(value)] : [number(value)];
  return make("div", { "data-figure": id, "data-value": value }, make("dt", {}, word), make("dd", {}, ...shown));
}

// A station's parts in one figure.
function parts(name, of) {
  const counts = ["ok", "ng", "unknown"].flatMap((each) => [shape(each), `${number(of[each])} `]);
  return make("div", { "data-station": name }, make("dt", {}, `${t("part")} ${name}`), make("dd", {}, ...counts));
}
