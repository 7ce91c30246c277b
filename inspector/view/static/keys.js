// The keyboard, and the dialog that tells of it.

import { choices, choose } from "./choices.js";
import * as detail from "./detail.js";
import { $, make } from "./dom.js";
import { names } from "./tiles.js";
import { language, t } from "./words.js";

const THEMES = ["auto", "light", "dark"];
const SLIDE = 5; // hundredths of the width

export const acts = {
  mode: () => choose("mode", choices.mode === "live" ? "defect" : "live"),
  repaired: () => choose("repaired", !choices.repaired),
  outline: () => choose("outline", !choices.outline),
  theme: () => choose("theme", THEMES[(THEMES.indexOf(choices.theme) + 1) % THEMES.length]),
  language: () => choose("language", language() === "zh" ? "en" : "zh"),
  keys: help,
};

const BY_KEY = { d: "mode", r: "repaired", o: "outline", t: "theme", l: "language", "?": "keys" };
const LISTED = ["mode", "repaired", "outline", "select", "open", "next", "slide", "theme", "language", "help"];

export function listen() {
  for (const [id, act] of Object.entries(acts)) $(`#${id}`).addEventListener("click", act);
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input:not([type=range])");
    if (typing || event.ctrlKey || event.altKey || event.metaKey) return;
    if (press(event.key)) event.preventDefault();
  });
}

function press(key) {
  const lower = key.toLowerCase();
  if (BY_KEY[lower]) acts[BY_KEY[lower]]();
  else if (lower === "n") detail.step(-1);
  else if (lower === "p") detail.step(1);
  else if (detail.isOpen() && key === "ArrowLeft") detail.slide(-SLIDE);
  else if (detail.isOpen() && key === "ArrowRight") detail.slide(SLIDE);
  else if (/^\d$/.test(key)) choose("camera", key === "0" ? null : (names()[Number(key) - 1] ?? null));
  else return false;
  return true;
}

function help() {
  const dialog = $("#help");
  if (dialog.open) return dialog.close();
  dialog.replaceChildren(
    make("h2", {}, t("keys")),
    make("ul", {}, ...LISTED.map((key) => make("li", {}, t(`key.${key}`)))),
    make("button", { type: "button", click: () => dialog.close() }, t("key.close")),
  );
  dialog.showModal();
}
