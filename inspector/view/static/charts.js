// Verdicts over time, and how latencies and scores are spread, of all cameras or of the chosen one.

import { choices } from "./choices.js";
import { $, draw, make, shape } from "./dom.js";
import { clock, number, t } from "./words.js";

const WIDTH = 600;
const HEIGHT = 130;
const FOOT = 18; // room for the labels below
const ORDER = ["ng", "unknown", "ok"]; // from the ground up: what is rare and matters stands where it is seen
const BUCKET = 5; // seconds of a bar, as history.py has it
const RECENT = 2000;
const MILLISECONDS = [1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000, 2000, 5000];
let last = null;

export function show(survey = last) {
  if (survey === null) return;
  last = survey;
  const chosen = survey.cameras[choices.camera] ? [survey.cameras[choices.camera]] : Object.values(survey.cameras);
  $("#chosen").textContent = survey.cameras[choices.camera] ? choices.camera : t("all_cameras");
  timeline(survey, sum(chosen, "history"));
  latencies(chosen, sum(chosen, "latencies"));
  scores(chosen, sum(chosen, "scores"));
}

function timeline(survey, counts) {
  const bars = counts.ok.length;
  const labels = [0, 0.5, 1].map((share) => [share, clock(survey.now - (1 - share) * bars * BUCKET * 1000)]);
  const most = Math.max(...totals(counts));
  figure("#timeline", t("timeline"), counts, labels, [], t("timeline_summary", { count: number(most) }));
}

function latencies(cameras, counts) {
  const labels = MILLISECONDS.map((bound, at) => [(at + 1) / (MILLISECONDS.length + 1), bound])
    .filter(([, bound]) => [1, 10, 100, 1000].includes(bound))
    .map(([share, bound]) => [share, t("ms", { count: number(bound) })]);
  const worst = (name) => number(Math.max(...cameras.map((camera) => camera[name] ?? 0)), 1);
  const summary = t("latency_summary", { median: worst("median"), slowest: worst("slowest") });
  figure("#latencies", t("latencies", { count: number(RECENT) }), counts, labels, [], summary);
}

function scores(cameras, counts) {
  const thresholds = [...new Set(cameras.map((camera) => camera.threshold).filter((each) => each !== null))].sort();
  const labels = [0, 0.5, 1].map((share) => [share, number(share, 1)]);
  const summary = `${t("threshold")} ${thresholds.map((each) => number(each, 2)).join(", ") || "–"}`;
  figure("#scores", t("scores", { count: number(RECENT) }), counts, labels, thresholds, summary);
}

// counts: by verdict, of each bar;  labels: pairs of a place, 0 to 1, and a text;  marks: places of upright lines
function figure(place, title, counts, labels, marks, summary) {
  const sums = totals(counts);
  const most = Math.max(1, ...sums);
  const step = WIDTH / sums.length;
  const bars = sums.flatMap((_, at) => bar(counts, at, at * step, step, most));
  const upright = (share) => draw("line", { class: "mark", x1: share * WIDTH, x2: share * WIDTH, y1: 0, y2: HEIGHT });
  const text = ([share, words]) => {
    const anchor = share === 0 ? "start" : share === 1 ? "end" : "middle";
    return draw("text", { x: share * WIDTH, y: HEIGHT + FOOT - 4, "text-anchor": anchor }, words);
  };
  const said = ORDER.map((each) => `${t(`verdict.${each}`)} ${number(counts[each].reduce((a, b) => a + b, 0))}`);
  const picture = draw(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT + FOOT}`, role: "img", "aria-label": `${title}: ${said.join(", ")}. ${summary}` },
    draw("line", { class: "ground", x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT }),
    ...bars,
    ...marks.map(upright),
    ...labels.map(text),
  );
  const legend = ORDER.map((each) => make("span", {}, shape(each), ` ${t(`verdict.${each}`)} `));
  $(place).replaceChildren(make("figcaption", {}, title), picture, make("p", { class: "legend" }, ...legend, summary));
  for (const each of ORDER) $(place).dataset[each] = counts[each].join(" ");
}

function bar(counts, at, x, width, most) {
  let top = HEIGHT;
  return ORDER.filter((each) => counts[each][at] > 0).map((each) => {
    const height = (counts[each][at] / most) * HEIGHT;
    top -= height;
    return draw("rect", { class: each, x: x + 0.5, y: top, width: Math.max(width - 1, 1), height });
  });
}

function sum(cameras, name) {
  const bars = (each) => cameras.map((camera) => camera[name][each]);
  const added = (lists) => (lists[0] ?? [0]).map((_, at) => lists.reduce((total, list) => total + list[at], 0));
  return Object.fromEntries(ORDER.map((each) => [each, added(bars(each))]));
}

function totals(counts) {
  return counts.ok.map((_, at) => ORDER.reduce((total, each) => total + counts[each][at], 0));
}
