// The page: loads its words, asks for the token where one is needed, and hands each update to whoever shows it.

import * as banner from "./banner.js";
import * as charts from "./charts.js";
import { choices, onChoice } from "./choices.js";
import * as detail from "./detail.js";
import { $, make } from "./dom.js";
import * as health from "./health.js";
import { listen } from "./keys.js";
import { connect, mayLook } from "./link.js";
import * as lists from "./lists.js";
import * as tiles from "./tiles.js";
import * as totals from "./totals.js";
import { loadWords, t } from "./words.js";

const TICK = 250; // milliseconds between two looks at what changes without any message

async function update(told) {
  await tiles.take(told);
  banner.take(told);
  totals.show(told);
  lists.take(told);
  if (told.survey) {
    charts.show(told.survey);
    health.show(told.survey, told.cameras);
  }
}

function apply(name) {
  if (name === "language") location.reload(); // the server has everything, so that nothing is lost
  if (choices.theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choices.theme;
  $("#mode").textContent = t(`mode.${choices.mode}`);
  $("#theme").textContent = t(`theme.${choices.theme}`);
  $("#language").textContent = t("language");
  for (const each of ["repaired", "outline"]) {
    $(`#${each}`).textContent = t(`${each}.${choices[each] ? "on" : "off"}`);
    $(`#${each}`).setAttribute("aria-pressed", choices[each]);
  }
  tiles.draw();
  charts.show();
}

// A link may bring the token behind #token=, which no server and no log ever sees.
function tokenFromAddress() {
  const found = location.hash.match(/^#token=(.+)$/);
  if (found === null) return null;
  history.replaceState(null, "", location.pathname);
  return decodeURIComponent(found[1]);
}

function askForToken() {
  const input = make("input", { type: "password", id: "token", autocomplete: "current-password", required: "" });
  const wrong = make("p", { class: "wrong", role: "alert" });
  const look = async (event) => {
    event.preventDefault();
    if (await mayLook(input.value)) location.reload();
    else wrong.textContent = t("login.wrong");
  };
  const label = make("label", {}, t("login.token"), " ", input);
  const form = make("form", { submit: look }, make("p", {}, t("login.ask")), label, make("button", {}, t("login")), wrong);
  $("#login").replaceChildren(form);
  $("#login").addEventListener("cancel", (event) => event.preventDefault());
  $("#login").showModal();
}

async function begin() {
  const [may] = await Promise.all([mayLook(tokenFromAddress()), loadWords()]);
  listen();
  apply();
  onChoice(apply);
  setInterval(() => {
    banner.show();
    tiles.age();
    lists.draw();
  }, TICK);
  if (!may) return askForToken();
  connect(update, askForToken);
  document.addEventListener("open-defect", ({ detail: camera }) => {
    const row = lists.defects().find((each) => each.camera === camera);
    if (row) detail.open(row.link);
  });
  window.addEventListener("hashchange", detail.follow);
  await detail.follow();
}

begin().catch((error) => {
  console.error(error);
  again(); // of start.js: what it begins with did not arrive
});
