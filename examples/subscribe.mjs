// Follow a line from Node.js, and lose nothing: subscribe.py once more, in another language.
//
// docs/wire.md tells the format. Each message is printed once and in the order of its topic, whatever is lost on the way
// and however often the daemon is started anew. What nobody can have any more is named.
//
//   npm install zeromq@6
//   node examples/subscribe.mjs tcp://127.0.0.1:5600 [NUMBER OF VERDICTS]
//
// Where the daemon wants keys: --secret NAME.secret --server SERVER.pub
//
// JavaScript rounds whole numbers beyond 2^53. Sessions (milliseconds) and sequences stay below that; fields in
// nanoseconds, such as captured_ns, do not: read those from the header's text if you need every digit.

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import * as zmq from "zeromq";

const SUBSCRIBED = ["verdict/", "result/", "part/", "event/"];
const [ANSWER_MS, LONGEST_MS] = [3000, 60000]; // so long an answer may take; then we ask again, and wait twice as long
const MOST_CUT_OFF = 60; // so many beats may come without a connection to catch-up; then what is missing is gone

const { values: keys, positionals } = parseArgs({
  allowPositionals: true,
  options: { secret: { type: "string" }, server: { type: "string" } },
});
const subscribedAt = positionals[0];
let count = positionals[1] === undefined ? Infinity : Number(positionals[1]);

function options() {
  if (keys.secret === undefined) return {};
  const read = (path) => readFileSync(path, "ascii").trim();
  return {
    curveSecretKey: read(keys.secret),
    curvePublicKey: read(keys.secret.replace(/\.secret$/, ".pub")), // `inspector keygen` wrote both
    curveServerKey: read(keys.server),
  };
}

let running = null; // the session that runs
let listed = null; // the newest session of which we know how all before it ended; at first the one that we came into
let first = null; // the session that we came into: its topics begin with what we hear first
// session -> Map: topic -> its last sequence, as far as we know; in their order, also where a clock was set back
const ends = new Map();
const place = new Map(); // topic -> { session, sequence } of what was printed last
const waiting = new Map(); // "topic session" -> Map: sequence -> message that came before its turn. Yours should be bounded.

let told = false; // whether a beat has told whom to ask
let catchup = null; // whom: an endpoint, or null where there is nobody
let asker = null; // the socket for that
let cutOff = 0; // beats that came since there was a connection
let asked = null; // the request under way
let askAfter = 0; // when to ask (again)
let patience = ANSWER_MS;
let number = 0; // of the last request

const isOurs = (topic) => SUBSCRIBED.some((prefix) => topic.startsWith(prefix));
const endOf = (session, topic) => ends.get(session).get(topic) ?? 0;

function heldOf(topic, session) {
  const key = `${topic} ${session}`;
  if (!waiting.has(key)) waiting.set(key, new Map());
  return waiting.get(key);
}

// A message came by the subscription.
function takeMessage([topicPart, headerPart, ...payloads]) {
  const topic = topicPart.toString();
  const header = JSON.parse(headerPart.toString());
  if (header.version.split(".")[0] !== "1") {
    console.log(`skipped a message of version ${header.version}`);
    return;
  }
  if (header.session !== running) { // the daemon was started anew
    running = header.session;
    asked = null;
    askAfter = 0;
    if (!ends.has(running)) ends.set(running, new Map());
    if (first === null) first = listed = running;
  }
  if (header.kind === "beat") {
    told = true;
    askAt(header.catchup ?? null);
    cutOff = asker === null || asker.writable ? 0 : cutOff + 1;
    for (const [other, sequence] of Object.entries(header.sequences)) {
      if (isOurs(other)) expect(other, sequence, sequence);
    }
    return;
  }
  expect(topic, header.sequence - 1, header.sequence);
  const { session, sequence } = place.get(topic);
  if (session !== running || sequence < header.sequence) { // else it came before
    heldOf(topic, running).set(header.sequence, { header, payloads });
  }
}

// `last` was published of a topic; if it is the first that we hear of it, it begins after `before`.
function expect(topic, before, last) {
  if (!place.has(topic)) {
    const start = running === first ? { session: running, sequence: before } : { session: listed, sequence: endOf(listed, topic) };
    place.set(topic, start);
  }
  ends.get(running).set(topic, Math.max(last, endOf(running, topic)));
}

// Print what is due of a topic; the range that is missing then, or null.
function goOn(topic) {
  for (;;) {
    const at = place.get(topic);
    const held = heldOf(topic, at.session);
    const last = endOf(at.session, topic);
    const message = held.get(at.sequence + 1);
    if (message !== undefined) {
      at.sequence += 1;
      held.delete(at.sequence);
      show(message);
    } else if (at.sequence < last) {
      const before = [...held.keys()].reduce((least, sequence) => Math.min(least, sequence), last + 1);
      return { session: at.session, first: at.sequence + 1, last: before - 1 };
    } else if (at.session !== listed) { // we know that no more will come in that session
      const order = [...ends.keys()];
      place.set(topic, { session: order[order.indexOf(at.session) + 1], sequence: 0 });
    } else {
      return null;
    }
  }
}

// What comes up to `last` cannot be had any more.
function lose(topic, last) {
  const at = place.get(topic);
  if (last > at.sequence) {
    console.log(`${last - at.sequence} message(s) of ${topic} are gone`);
    at.sequence = last;
  }
}

// Whom to ask, as a beat tells: the endpoint as it was bound, so that a wildcard stands for the daemon's host.
function askAt(bound) {
  const host = subscribedAt.startsWith("tcp:") ? subscribedAt.slice(0, subscribedAt.lastIndexOf(":")) : "tcp://127.0.0.1";
  const endpoint = bound?.replace("tcp://0.0.0.0", host).replace("tcp://[::]", host) ?? null;
  if (endpoint === catchup) return;
  asker?.close();
  asker = null;
  catchup = endpoint;
  asked = null;
  askAfter = 0;
  if (endpoint !== null) {
    // The kernel alone would look up to a minute late whether the network is back.
    asker = new zmq.Dealer({ ...options(), linger: 0, immediate: true, sendTimeout: 0, connectTimeout: 20000 });
    asker.connect(endpoint);
    receive(asker, takeAnswer);
  }
}

// Ask for the next thing that is missing.
async function ask() {
  let topic, gap = null;
  for (topic of [...place.keys()]) {
    gap = goOn(topic);
    if (gap !== null) break;
  }
  if (told && (catchup === null || cutOff >= MOST_CUT_OFF)) { // there is nobody to ask
    listed = running;
    if (gap !== null) lose(topic, gap.last);
    return;
  }
  if (catchup === null || (gap === null && listed === running) || !asker.writable) return;
  if (asked !== null) patience = Math.min(2 * patience, LONGEST_MS); // no answer came in time: the network may be slow
  number += 1;
  asked = { schema: "inspector", version: "1.4", id: number };
  if (gap === null) { // a session began: how did the last one end, and were there others?
    Object.assign(asked, { kind: "sessions", since: Math.min(listed, running) });
  } else {
    Object.assign(asked, { kind: "ask", topic, ...gap });
  }
  askAfter = Date.now() + patience;
  await asker.send(JSON.stringify(asked)).catch(() => {}); // whoever is not there is asked again
}

// An answer came.
function takeAnswer([header, ...parts]) {
  const answer = JSON.parse(header.toString());
  if (asked !== null && answer.id === asked.id) {
    asked = null;
    askAfter = 0;
  } else if (answer.kind !== "chunk") {
    return; // too late: we asked again. Messages count all the same: where the network is slow, all may be late
  }
  if (answer.kind === "busy") {
    askAfter = Date.now() + answer.wait * 1000;
  } else if (answer.kind === "refused") {
    throw new Error(`the daemon refused a request: ${answer.why}`);
  } else if (answer.kind === "sessions") {
    for (const { session, sequences } of answer.sessions) {
      const known = ends.get(session) ?? new Map();
      ends.delete(session);
      ends.set(session, known); // now the last
      for (const [topic, last] of Object.entries(sequences)) {
        if (!isOurs(topic) || (!place.has(topic) && session === first)) continue;
        if (!place.has(topic)) place.set(topic, { session, sequence: 0 });
        known.set(topic, Math.max(last, endOf(session, topic)));
      }
      listed = session;
    }
    if (listed !== running) askAfter = Date.now() + 100; // the list was cut, or made too early
  } else if (answer.kind === "chunk") {
    const { topic, session } = answer;
    if (answer.last < answer.first) { // not there yet: ask for other topics before it, and not at once
      const at = place.get(topic);
      place.delete(topic);
      place.set(topic, at);
      askAfter = Date.now() + 250;
    }
    for (const [sequence, length] of answer.messages) {
      const [, head, ...payloads] = parts.splice(0, length);
      const at = place.get(topic);
      if (at.session !== session || sequence <= at.sequence) continue; // it came before
      heldOf(topic, session).set(sequence, { header: JSON.parse(head.toString()), payloads });
    }
    for (const [firstGone, lastGone] of answer.gone) {
      goOn(topic);
      const at = place.get(topic);
      if (at.session === session && at.sequence === firstGone - 1) lose(topic, lastGone);
    }
  }
}

// Print a message.
function show({ header, payloads }) {
  if (header.kind === "verdict") {
    console.log(`${header.camera} frame ${header.frame}: ${header.verdict} ${header.reason ?? ""}`);
    count -= 1;
    if (count === 0) process.exit();
  } else if (header.kind === "result") {
    header.payloads.forEach(({ name, codec, box }, index) => {
      const where = box === undefined ? "" : `[${box.join(", ")}]`;
      console.log(`  ${name} as ${codec}, ${payloads[index].length} bytes, ${where}`);
    });
  } else if (header.kind === "part") {
    console.log(`part ${header.part} at ${header.station}: ${header.verdict} ${header.reason ?? ""}`);
  } else if (header.kind === "event") {
    console.log(`${header.subject} is ${header.state}: ${header.detail}`);
  }
}

// Hand whatever comes by a socket to `take`, then print and ask what there is to.
async function receive(socket, take) {
  for await (const parts of socket) {
    if (socket === asker || socket === live) take(parts);
    await step();
  }
}

async function step() {
  if (Date.now() >= askAfter) await ask();
  for (const topic of [...place.keys()]) goOn(topic);
}

const live = new zmq.Subscriber({ ...options(), linger: 0 });
live.connect(subscribedAt);
for (const prefix of [...SUBSCRIBED, "beat/"]) live.subscribe(prefix);
setInterval(step, 100);
receive(live, takeMessage);
