// What each camera does, why frames were unknown, and the newest events as the daemon told them.

import { $, make, shape } from "./dom.js";
import { clock, happened, number, said, t } from "./words.js";

const EVENTS = 20;
const ILL = { stalled: "off", lost: "off", ended: "off", frozen: "unknown", connecting: "unknown", untold: "unknown" };

export function show(survey, cameras) {
  const head = ["camera", "state", "rate", "cause", "reasons"].map((key) => make("th", { scope: "col" }, t(key)));
  const body = Object.entries(cameras).map(([name, brief]) => row(name, brief, survey.cameras[name]));
  $("#health table").replaceChildren(make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body));
  const events = survey.events.slice(-EVENTS).reverse();
  $("#events").replaceChildren(
    ...events.map((event) =>
      make("li", {}, make("time", {}, clock(event.at)), make("b", {}, ` ${said("subject", event.subject)} ${happened(event.state)} `), event.detail),
    ),
  );
}

function row(name, brief, told) {
  const state = brief.state ?? "untold";
  const mark = brief.last?.cause ? "unknown" : (ILL[state] ?? "ok");
  const reasons = Object.entries(told?.reasons ?? {}).map(([reason, count]) => `${said("reason", reason)} ${number(count)}`);
  return make(
    "tr",
    { "data-camera": name, "data-state": state },
    make("th", { scope: "row" }, name),
    make("td", { title: told?.detail }, shape(mark), ` ${said("state", state)}`),
    make("td", {}, number(brief.rate)),
    make("td", { "data-cause": brief.last?.cause ?? "" }, brief.last?.cause ? said("cause", brief.last.cause) : "–"),
    make("td", {}, reasons.join(", ") || "–"),
  );
}
