// The line's name, whether it runs, and all verdicts since this view began to listen.

import { $, Mark, make, say, shape } from "./dom.js";
import { number, t } from "./words.js";

const SHAPES = { running: "ok", silent: "off", stopped: "off", waiting: "unknown" };
const VERDICTS = ["ok", "ng", "unknown"];
const daemonMark = new Mark();
const figures = new Map();

export function show({ daemon, cameras, stations, whole }) {
  say($("#line"), daemon.line ?? "");
  if (daemon.line) document.title = daemon.line;
  daemonMark.show(SHAPES[daemon.state], t(`daemon.${daemon.state}`));
  if (!daemonMark.element.isConnected) $("#daemon").append(daemonMark.element);
  $("#daemon").dataset.state = daemon.state;
  const all = Object.values(cameras);
  const sum = (name) => all.reduce((total, camera) => total + camera[name], 0);
  for (const each of VERDICTS) figure(each, t(`verdict.${each}`), [each], [sum(each)]);
  figure("rate", t("rate"), [], [sum("rate")]);
  figure("missing", t("missing"), [], [daemon.missing]);
  figure("restarts", t("restarts"), [], [daemon.restarts]);
  if (whole) [...figures.keys()].filter((id) => id.startsWith("station-")).forEach(forget);
  for (const [name, of] of Object.entries(stations))
    figure(`station-${name}`, `${t("part")} ${name}`, VERDICTS, VERDICTS.map((each) => of[each]));
}

// One figure, or several with a shape each.
function figure(id, word, shapes, values) {
  if (!figures.has(id)) {
    const places = values.map(() => make("span"));
    const shown = places.flatMap((place, at) => (shapes[at] ? [shape(shapes[at]), place, " "] : [place]));
    const element = make("div", { "data-figure": id }, make("dt", {}, word), make("dd", {}, ...shown));
    figures.set(id, { element, places });
    $("#totals").append(element);
  }
  const { element, places } = figures.get(id);
  element.dataset.value = values[0];
  places.forEach((place, at) => say(place, number(values[at])));
}

function forget(id) {
  figures.get(id).element.remove();
  figures.delete(id);
}
