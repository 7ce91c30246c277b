// Says across the page when what it shows is not live: the daemon is silent or stopped, or this page is cut off.

import { $, make, shape } from "./dom.js";
import { number, t } from "./words.js";

const CUT = 3; // seconds without an update; the server sends one each second at least
const SILENT = 3; // seconds without a beat
const now = () => performance.now() / 1000;

let daemon = { state: "waiting", heard: null };
let updated = now();

export function take(told) {
  daemon = told.daemon;
  updated = told.at;
  show();
}

// What is wrong, if anything, and since how many seconds.
function trouble() {
  const silence = now() - updated;
  if (silence > CUT) return ["cut", silence];
  const heard = daemon.heard === null ? null : daemon.heard + silence;
  if (daemon.state === "running" && heard <= SILENT) return [null, 0];
  return [daemon.state === "running" ? "silent" : daemon.state, heard];
}

export function show() {
  const [what, since] = trouble();
  document.body.classList.toggle("stale", what !== null);
  $("#banner").hidden = what === null;
  if (what === null) return;
  const long = since === null ? "" : ` ${t("banner.since", { seconds: number(Math.floor(since)) })}`;
  if ($("#banner").dataset.what !== what) {
    $("#banner").dataset.what = what;
    $("#banner").replaceChildren(shape("off"), make("b", {}, t(`banner.${what}`)), make("span", { "aria-live": "off" }));
  }
  $("#banner span").textContent = long;
}
