// All words of the page come from here: lang/en.json and lang/zh.json, which have the same keys.

import { choices } from "./choices.js";

export const LANGUAGES = ["en", "zh"];
let words = {};

export function language() {
  const wished = choices.language ?? navigator.language.slice(0, 2);
  return LANGUAGES.includes(wished) ? wished : "en";
}

export async function loadWords() {
  const answer = await fetch(`/lang/${language()}.json`);
  words = await answer.json();
  document.documentElement.lang = language() === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const element of document.querySelectorAll("[data-t-title]")) element.title = t(element.dataset.tTitle);
  for (const element of document.querySelectorAll("[data-t-label]"))
    element.setAttribute("aria-label", t(element.dataset.tLabel));
}

export function t(key, values = {}) {
  return (words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

// A word that the daemon said, such as a cause; later versions may know others, which are shown as they came.
export function said(family, word) {
  return words[`${family}.${word}`] ?? word;
}

// The name of an event, which may be a camera's state or a cause.
export function happened(word) {
  return ["event", "state", "cause"].map((family) => words[`${family}.${word}`]).find(Boolean) ?? word;
}

const formats = new Map(); // making one takes longer than using it a thousand times

function format(kind, name, options) {
  if (!formats.has(name)) formats.set(name, new kind(language(), options));
  return formats.get(name);
}

export function number(value, digits = 0) {
  if (value === null || value === undefined) return "–";
  const fixed = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return format(Intl.NumberFormat, digits, fixed).format(value);
}

// Seconds for people: tenths while they are few.
export function seconds(value) {
  return number(value, value < 10 ? 1 : 0);
}

export function clock(milliseconds, precise = false) {
  const time = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
  if (precise) Object.assign(time, { year: "numeric", month: "2-digit", day: "2-digit", fractionalSecondDigits: 3 });
  return format(Intl.DateTimeFormat, precise ? "precise" : "clock", time).format(milliseconds);
}
