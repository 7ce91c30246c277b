// The connection to the server. While an update is drawn the next one is asked for, and none beyond that: so the server
// is never waited for, and nothing piles up here.

const AGAIN = 500; // milliseconds until the next try, twice as long each time
const LONGEST = 5000;

// Four bytes of length, JSON, and the bytes that its `parts` tell the lengths of.
export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0);
  const said = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  let at = 4 + length;
  said.parts = said.parts.map((size) => new Uint8Array(buffer, (at += size) - size, size));
  return said;
}

const later = (pause) => new Promise((then) => setTimeout(then, pause));

// Asked until the server itself says yes or no: what stands before it may answer, too, while it is started again.
export async function mayLook(token) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  for (let pause = AGAIN; ; pause = Math.min(2 * pause, LONGEST)) {
    const answer = await fetch("/session", { headers }).catch(() => null);
    if (answer?.ok) return true;
    if (answer?.status === 401) return false;
    await later(pause);
  }
}

// Null: nobody has it, or it does not come. A network that changes cuts off what is on its way, which says nothing: then
// it is asked for again, some times, while it is wanted.
export async function message(place, isWanted) {
  for (let pause = AGAIN; pause <= LONGEST && isWanted(); pause *= 2) {
    const found = await fetch(`/message/${place}`)
      .then((answer) => (answer.ok ? answer.arrayBuffer() : null))
      .catch(() => undefined);
    if (found !== undefined) return found && unpack(found);
    await later(pause);
  }
  return null;
}

// onUpdate: awaited for each update, with `at`, the second that it came in;  onRefused: the server is there, and wants a
// token
export function connect(onUpdate, onRefused) {
  let pause = AGAIN;
  let waiting = null; // the update that came and is not drawn yet: one, and one of a newer connection instead
  let isDrawing = false;
  const draw = async () => {
    if (isDrawing) return;
    isDrawing = true;
    while (waiting !== null) {
      const { ask, data, at } = waiting;
      waiting = null;
      ask();
      try {
        await onUpdate({ ...unpack(data), at });
      } catch (error) {
        console.error(error); // a bug; the next update may do better
      }
      await new Promise(requestAnimationFrame); // not while the page is hidden: then nobody needs an update
    }
    isDrawing = false;
  };
  const open = () => {
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
    const ask = () => socket.readyState === WebSocket.OPEN && socket.send("next");
    socket.binaryType = "arraybuffer";
    socket.onopen = ask;
    socket.onmessage = (event) => {
      pause = AGAIN;
      waiting = { ask, data: event.data, at: performance.now() / 1000 };
      draw();
    };
    socket.onclose = async () => {
      if (!(await mayLook())) return onRefused();
      setTimeout(open, pause);
      pause = Math.min(2 * pause, LONGEST);
    };
  };
  open();
}
