"""Follow a line with nothing but pyzmq, and lose nothing: what a subscriber in any language has to do.

docs/wire.md tells the format. Each message is printed once and in the order of its topic, whatever is lost on the way
and however often the daemon is started anew. What nobody can have any more is named.

python examples/subscribe.py tcp://127.0.0.1:5600 [NUMBER OF VERDICTS]

Where the daemon wants keys: --secret NAME.secret --server SERVER.pub
"""

import argparse
import json
import pathlib
import sys
import time

import zmq

SUBSCRIBED = ("verdict/", "result/", "part/", "event/")
ANSWER_SECONDS, LONGEST_SECONDS = 3.0, 60.0  # so long an answer may take; then we ask again, and wait twice as long
MOST_CUT_OFF = 60  # so many beats may come without a connection to catch-up; then what is missing is gone

parser = argparse.ArgumentParser()
parser.add_argument("endpoint")
parser.add_argument("count", type=int, nargs="?", default=sys.maxsize)
parser.add_argument("--secret", type=pathlib.Path)
parser.add_argument("--server", type=pathlib.Path)
arguments = parser.parse_args()
count = arguments.count


def connect(kind: int, endpoint: str, prefixes: tuple[str, ...] = ()) -> zmq.Socket:
    socket = zmq.Context.instance().socket(kind)
    socket.linger = 0
    socket.immediate = 1  # nothing is queued for a daemon that is not there
    socket.connect_timeout = 20_000  # the kernel alone would look up to a minute late whether the network is back
    if arguments.secret is not None:
        secret = arguments.secret.read_bytes().strip()
        socket.curve_secretkey, socket.curve_publickey = secret, zmq.curve_public(secret)
        socket.curve_serverkey = arguments.server.read_bytes().strip()
    for prefix in prefixes:
        socket.subscribe(prefix)
    socket.connect(endpoint)
    return socket


live = connect(zmq.SUB, arguments.endpoint, (*SUBSCRIBED, "beat/"))

running = None  # the session that runs
listed = None  # the newest session of which we know how all before it ended; at first the one that we came into
first = None  # the session that we came into: its topics begin with what we hear first
ends = {}  # session -> {topic: its last sequence, as far as we know}; in their order, also where a clock was set back
place = {}  # topic -> (session, sequence) of what was printed last
waiting = {}  # (topic, session, sequence) -> message that came before its turn. Yours should be bounded.

told = False  # whether a beat has told whom to ask
catchup = None  # whom: an endpoint, or None where there is nobody
asker = None  # the socket for that
cut_off = 0  # beats that came since there was a connection
asked = None  # the request under way
ask_after = 0.0  # when to ask (again)
patience = ANSWER_SECONDS
number = 0  # of the last request


def take_message(topic: bytes, header: bytes, *payloads: bytes) -> None:
    """A message came by the subscription."""
    global running, listed, first, asked, ask_after, told, cut_off
    topic, header = topic.decode(), json.loads(header)
    if header["version"].split(".")[0] != "1":
        print(f"skipped a message of version {header['version']}")
        return
    if header["session"] != running:  # the daemon was started anew
        running, asked, ask_after = header["session"], None, 0.0
        ends.setdefault(running, {})
        if first is None:
            first = listed = running
    if header["kind"] == "beat":
        told = True
        ask_at(header.get("catchup"))
        cut_off = 0 if asker is None or asker.poll(0, zmq.POLLOUT) else cut_off + 1
        for other, sequence in header["sequences"].items():
            if other.startswith(SUBSCRIBED):
                expect(other, sequence, sequence)
        return
    expect(topic, header["sequence"] - 1, header["sequence"])
    session, sequence = place[topic]
    if session != running or sequence < header["sequence"]:  # else it came before
        waiting[topic, running, header["sequence"]] = header, payloads


def expect(topic: str, before: int, last: int) -> None:
    """`last` was published of a topic; if it is the first that we hear of it, it begins after `before`."""
    if topic not in place:
        place[topic] = (running, before) if running == first else (listed, ends[listed].get(topic, 0))
    ends[running][topic] = max(last, ends[running].get(topic, 0))


def go_on(topic: str) -> tuple[int, int, int] | None:
    """Print what is due of a topic; the range that is missing then: session, first and last sequence, or None."""
    while True:
        session, sequence = place[topic]
        message = waiting.pop((topic, session, sequence + 1), None)
        last = ends[session].get(topic, 0)
        if message is not None:
            place[topic] = session, sequence + 1
            show(*message)
        elif sequence < last:
            held = (other for of, run, other in waiting if (of, run) == (topic, session))
            return session, sequence + 1, min(held, default=last + 1) - 1
        elif session != listed:  # we know that no more will come in that session
            order = list(ends)
            place[topic] = order[order.index(session) + 1], 0
        else:
            return None


def lose(topic: str, last: int) -> None:
    """What comes up to `last` cannot be had any more."""
    session, sequence = place[topic]
    if last > sequence:
        print(f"{last - sequence} message(s) of {topic} are gone")
        place[topic] = session, last


def ask_at(endpoint: str | None) -> None:
    """Whom to ask, as a beat tells: the endpoint as it was bound, so that a wildcard stands for the daemon's host."""
    global catchup, asker, asked, ask_after
    if endpoint is not None:
        host = arguments.endpoint.rpartition(":")[0] if arguments.endpoint.startswith("tcp:") else "tcp://127.0.0.1"
        endpoint = endpoint.replace("tcp://0.0.0.0", host).replace("tcp://[::]", host)
    if endpoint != catchup:
        if asker is not None:
            asker.close()
        asker = None if endpoint is None else connect(zmq.DEALER, endpoint)
        catchup, asked, ask_after = endpoint, None, 0.0


def ask() -> None:
    """Ask for the next thing that is missing."""
    global asked, ask_after, number, listed, patience
    gaps = ((topic, go_on(topic)) for topic in list(place))
    topic, gap = next(((topic, gap) for topic, gap in gaps if gap is not None), (None, None))
    if told and (catchup is None or cut_off >= MOST_CUT_OFF):  # there is nobody to ask
        listed = running
        if gap is not None:
            lose(topic, gap[2])
        return
    if catchup is None or (gap is None and listed == running) or not asker.poll(0, zmq.POLLOUT):
        return
    if asked is not None:  # no answer came in time: where the network is slow, it takes longer
        patience = min(2 * patience, LONGEST_SECONDS)
    number += 1
    asked = {"schema": "inspector", "version": "1.4", "id": number}
    if gap is None:  # a session began: how did the last one end, and were there others?
        asked |= {"kind": "sessions", "since": min(listed, running)}
    else:
        asked |= {"kind": "ask", "session": gap[0], "topic": topic, "first": gap[1], "last": gap[2]}
    ask_after = time.monotonic() + patience
    asker.send(json.dumps(asked).encode())


def take_answer(header: bytes, *parts: bytes) -> None:
    """An answer came."""
    global asked, ask_after, listed
    answer = json.loads(header)
    if asked is not None and answer["id"] == asked["id"]:
        asked, ask_after = None, 0.0
    elif answer["kind"] != "chunk":
        return  # too late: we asked again. Messages count all the same: where the network is slow, all may be late
    if answer["kind"] == "busy":
        ask_after = time.monotonic() + answer["wait"]
    elif answer["kind"] == "refused":
        sys.exit(f"the daemon refused a request: {answer['why']}")
    elif answer["kind"] == "sessions":
        for session in answer["sessions"]:
            known = ends[session["session"]] = ends.pop(session["session"], {})  # now the last
            for topic, last in session["sequences"].items():
                if topic.startswith(SUBSCRIBED) and (topic in place or session["session"] != first):
                    place.setdefault(topic, (session["session"], 0))
                    known[topic] = max(last, known.get(topic, 0))
            listed = session["session"]
        if listed != running:  # the list was cut, or made too early
            ask_after = time.monotonic() + 0.1
    elif answer["kind"] == "chunk":
        topic, session = answer["topic"], answer["session"]
        if answer["last"] < answer["first"]:  # not there yet: ask for other topics before it, and not at once
            place[topic] = place.pop(topic)
            ask_after = time.monotonic() + 0.25
        for sequence, length in answer["messages"]:
            (_, header, *payloads), parts = parts[:length], parts[length:]
            if place[topic][0] == session and place[topic][1] < sequence:  # else it came before
                waiting[topic, session, sequence] = json.loads(header), payloads
        for first_gone, last_gone in answer["gone"]:
            go_on(topic)
            if place[topic] == (session, first_gone - 1):
                lose(topic, last_gone)


def show(header: dict, payloads: list[bytes]) -> None:
    """Print a message."""
    global count
    if header["kind"] == "verdict":
        print(f"{header['camera']} frame {header['frame']}: {header['verdict']} {header['reason'] or ''}")
        count -= 1
        if count == 0:
            sys.exit()
    elif header["kind"] == "result":
        for described, payload in zip(header["payloads"], payloads, strict=True):
            print(f"  {described['name']} as {described['codec']}, {len(payload)} bytes, {described.get('box', '')}")
    elif header["kind"] == "part":
        print(f"part {header['part']} at {header['station']}: {header['verdict']} {header['reason'] or ''}")
    elif header["kind"] == "event":
        print(f"{header['subject']} is {header['state']}: {header['detail']}")


while True:
    came = zmq.select([live] if asker is None else [live, asker], [], [], 0.1)[0]
    if live in came:
        take_message(*live.recv_multipart())
    if asker is not None and asker in came:
        take_answer(*asker.recv_multipart())
    if time.monotonic() >= ask_after:
        ask()
    for topic in list(place):
        go_on(topic)
