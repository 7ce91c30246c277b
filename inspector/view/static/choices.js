// What somebody chose for this browser: kept where the browser allows it, and told to whoever asks.

const KEPT = "inspector-view";
const DEFAULTS = { language: null, theme: "auto", mode: "live", repaired: false, outline: true };
const listeners = [];

function kept() {
  try {
    return JSON.parse(localStorage.getItem(KEPT)) ?? {};
  } catch {
    return {}; // no storage, or not ours: begin anew
  }
}

export const choices = { ...DEFAULTS, ...kept(), camera: null };

export function choose(name, value) {
  choices[name] = value;
  const { camera, ...lasting } = choices;
  try {
    localStorage.setItem(KEPT, JSON.stringify(lasting));
  } catch {
    // then it lasts as long as the page
  }
  for (const listener of listeners) listener(name);
}

export function onChoice(listener) {
  listeners.push(listener);
}
