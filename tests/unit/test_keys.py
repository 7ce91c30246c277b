from __future__ import annotations

import os
import stat
import traceback
from pathlib import Path

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st
from zmq.utils import z85

from inspector import cli
from inspector.allowlist import AllowList
from inspector.errors import ConfigError, OutputError
from inspector.keys import ClientKeys, ServerKeys, fingerprint, generate, had_since, read_public


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def problem_of(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        ServerKeys.load(str(path))
    (problem,) = caught.value.problems
    assert str(path) in problem
    assert "\n" not in problem
    return problem


def write(path: Path, content: bytes, rights: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(rights)
    return path


def test_a_pair_is_made_that_belongs_together(tmp_path):
    public, secret = generate("daemon", tmp_path / "new" / "keys")
    assert (mode(public), mode(secret), mode(tmp_path / "new" / "keys")) == (0o644, 0o600, 0o700)
    keys = ServerKeys.load(str(secret))
    assert keys.public == read_public(public) == zmq.curve_public(secret.read_bytes().strip())


def test_a_public_key_can_be_read_by_others_whatever_the_umask(tmp_path):
    before = os.umask(0o077)
    try:
        public, secret = generate("a", tmp_path)
    finally:
        os.umask(before)
    assert (mode(public), mode(secret)) == (0o644, 0o600)


def test_a_secret_is_never_wider_than_its_owner(tmp_path, monkeypatch):
    opened: list[tuple[str, int, int]] = []
    really = os.open

    def spy(path: os.PathLike[str], flags: int, rights: int = 0o777) -> int:
        opened.append((Path(path).suffix, flags, rights))
        return really(path, flags, rights)

    monkeypatch.setattr(os, "open", spy)
    before = os.umask(0)
    try:
        _, secret = generate("a", tmp_path)
    finally:
        os.umask(before)
    (flags, rights) = next((flags, rights) for suffix, flags, rights in opened if suffix == ".secret")
    assert rights == mode(secret) == 0o600
    assert flags & os.O_EXCL


@pytest.mark.parametrize("which", ["daemon.pub", "daemon.secret"])
def test_nothing_is_overwritten(tmp_path, which):
    (tmp_path / which).write_bytes(b"precious")
    with pytest.raises(OutputError, match=f"{which} is there already and is not overwritten"):
        generate("daemon", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [which]
    assert (tmp_path / which).read_bytes() == b"precious"


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "daemon.secret").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="there already"):
        generate("daemon", tmp_path)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("name", ["", "../a", "a/b", "-a", "a b", "ä", "a" * 65])
def test_names_are_those_of_topics(tmp_path, name):
    with pytest.raises(ConfigError, match="cannot name a key: use 1 to 64 letters"):
        generate(name, tmp_path)


def test_the_verb_says_where_the_keys_are_and_never_the_secret(tmp_path, capsys):
    assert cli.main(["keygen", "alice", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert fingerprint(read_public(tmp_path / "alice.pub")) in said.out
    assert str(tmp_path / "alice.secret") in said.out
    assert (tmp_path / "alice.secret").read_text().strip() not in said.out + said.err
    assert cli.main(["keygen", "alice", "--out", str(tmp_path)]) == OutputError.exit_code


@pytest.mark.parametrize("rights", [0o640, 0o604, 0o620, 0o644, 0o660, 0o610])
def test_a_secret_that_others_can_get_at_is_refused(tmp_path, rights):
    _, secret = generate("daemon", tmp_path)
    secret.chmod(rights)
    problem = problem_of(secret)
    assert f"mode {rights:04o}" in problem
    assert f"chmod 600 {secret}" in problem


@pytest.mark.parametrize(("rights", "allowed"), [(0o400, True), (0o440, True), (0o444, False)])
def test_systemd_shows_its_access_list_as_the_groups_rights(tmp_path, rights, allowed):
    _, secret = generate("daemon", tmp_path)
    secret.chmod(rights)
    where = f"credential:{secret}"
    if allowed:
        assert ServerKeys.load(where).public == read_public(tmp_path / "daemon.pub")
    else:
        with pytest.raises(ConfigError, match="mode 0444"):
            ServerKeys.load(where)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"a" * 39,
        b"a" * 41,
        b"a" * 40 + b"\n\n",
        b" " + b"a" * 40,
        b"a" * 39 + b"_",
        b"#" * 40,  # more than 32 bits
        b"a" * 40 + b"\n" + b"b" * 40,
        b"\xff" * 40,
        bytes(1 << 20),
        b'curve\n    public-key = "x"\n',
    ],
)
def test_what_is_no_key_is_refused_and_not_repeated(tmp_path, content):
    path = write(tmp_path / "daemon.secret", content)
    problem = problem_of(path)
    assert "is not one line of 40 characters of Z85" in problem
    if len(content) > 30:
        assert content[:30].decode("latin-1") not in problem


def test_a_line_end_of_windows_is_fine(tmp_path):
    public, secret = zmq.curve_keypair()
    assert ServerKeys.load(str(write(tmp_path / "a.secret", secret + b"\r\n"))).public == public


def test_what_cannot_be_read_is_named(tmp_path):
    assert "cannot be read (No such file" in problem_of(tmp_path / "none.secret")
    assert "cannot be read (Is a directory)" in problem_of(tmp_path)
    os.mkfifo(tmp_path / "pipe.secret")
    assert "is no plain file" in problem_of(tmp_path / "pipe.secret")


def test_a_public_key_beside_a_secret_must_be_its_own(tmp_path):
    _, secret = generate("daemon", tmp_path)
    write(tmp_path / "daemon.pub", zmq.curve_keypair()[0])
    assert f"{tmp_path / 'daemon.pub'} does not belong to {secret}" in problem_of(secret)


def test_secrets_are_not_shown(tmp_path):
    _, secret = generate("daemon", tmp_path)
    keys = [ServerKeys.load(str(secret)), ClientKeys.load(secret, tmp_path / "daemon.pub")]
    text = secret.read_text().strip()
    for one in keys:
        assert text not in f"{one!r} {one}"
        assert fingerprint(one.public) in repr(one)
        with zmq.Context() as context, context.socket(zmq.SUB) as socket:
            socket.close()
            with pytest.raises(zmq.ZMQError) as caught:
                one.arm(socket)
            shown = "".join(traceback.format_exception(caught.value))
            assert text not in shown


@given(st.binary(min_size=32, max_size=32))
def test_every_key_can_be_read(tmp_path_factory, key):
    path = write(tmp_path_factory.mktemp("keys") / "a.pub", z85.encode(key) + b"\n")
    assert z85.decode(read_public(path)) == key


# ---- the list of subscribers


def subscriber(folder: Path, name: str) -> bytes:
    public, _ = generate(name, folder.parent / "all")
    folder.mkdir(exist_ok=True)
    (folder / public.name).write_bytes(public.read_bytes())
    return read_public(public)


def test_the_list_follows_its_folder(tmp_path):
    folder = tmp_path / "subscribers"
    alice = subscriber(folder, "alice")
    (folder / "README").write_text("no key")
    listed = AllowList(folder)
    assert (len(listed), listed.name(alice)) == (1, "alice")
    bob = subscriber(folder, "bob")
    assert listed.refresh() == []
    assert (listed.name(alice), listed.name(bob)) == ("alice", "bob")
    (folder / "alice.pub").unlink()
    assert listed.refresh() == []
    assert (listed.name(alice), listed.name(bob)) == (None, "bob")
    carol = subscriber(tmp_path / "other", "carol")
    (folder / "bob.pub").write_bytes(carol)
    assert listed.refresh() == []
    assert (listed.name(bob), listed.name(carol)) == (None, "bob")


def test_a_broken_file_is_said_once_and_takes_in_nobody(tmp_path):
    folder = tmp_path / "subscribers"
    alice, bob = subscriber(folder, "alice"), subscriber(folder, "bob")
    listed = AllowList(folder)
    (folder / "bob.pub").write_text("oops")
    (problem,) = listed.refresh()
    assert str(folder / "bob.pub") in problem
    assert listed.refresh() == []
    assert (listed.name(alice), listed.name(bob)) == ("alice", None)
    assert listed.wrong == 1
    (folder / "bob.pub").write_bytes(bob)
    assert listed.refresh() == []
    assert listed.name(bob) == "bob"
    assert listed.wrong == 0


def test_a_folder_that_is_gone_takes_in_nobody_until_it_is_back(tmp_path):
    folder = tmp_path / "subscribers"
    alice = subscriber(folder, "alice")
    listed = AllowList(folder)
    folder.rename(tmp_path / "away")
    (problem,) = listed.refresh()
    assert f"subscribers {folder}: cannot be read" in problem
    assert listed.refresh() == []
    assert listed.name(alice) is None
    assert (listed.wrong, listed.oldest) == (1, 0)
    (tmp_path / "away").rename(folder)
    assert listed.refresh() == []
    assert listed.name(alice) == "alice"


def test_the_oldest_key_is_of_those_that_may_come(tmp_path):
    folder = tmp_path / "subscribers"
    for name, changed in (("alice", 3000), ("bob", 2000), ("carol", 1000)):
        subscriber(folder, name)
        os.utime(folder / f"{name}.pub", (changed, changed))
    listed = AllowList(folder)
    assert listed.oldest == 1000
    (folder / "carol.pub").unlink()
    assert listed.refresh() == []
    assert listed.oldest == 2000


def test_a_key_is_as_old_as_its_file_or_its_note(tmp_path):
    _, secret = generate("inspector", tmp_path / "keys")
    os.utime(secret, (5000, 5000))
    keys, notes = ServerKeys.load(str(secret)), tmp_path / "notes"
    assert had_since(keys, None, 9000.0) == 5000
    assert had_since(keys, notes, 4000.0) == 4000  # first seen with a clock that was behind, or the file was touched
    assert had_since(keys, notes, 9000.0) == 4000
    os.utime(secret, (8000, 8000))  # as systemd does at each start
    assert had_since(ServerKeys.load(str(secret)), notes, 9000.0) == 4000
    _, other = generate("other", tmp_path / "keys")
    os.utime(other, (7000, 7000))
    assert had_since(ServerKeys.load(str(other)), notes, 9000.0) == 7000
    assert len(notes.read_text().splitlines()) == 2
    assert secret.read_text().strip() not in notes.read_text()


@pytest.mark.parametrize("spoil", [lambda path: path.mkdir(), lambda path: path.write_bytes(b"\xff what ever\n")])
def test_notes_that_are_of_no_use_are_as_good_as_none(tmp_path, spoil):
    _, secret = generate("inspector", tmp_path / "keys")
    os.utime(secret, (5000, 5000))
    spoil(tmp_path / "notes")
    assert had_since(ServerKeys.load(str(secret)), tmp_path / "notes", 4000.0) == 5000


def test_at_the_start_every_wrong_key_is_an_error(tmp_path):
    folder = tmp_path / "subscribers"
    with pytest.raises(ConfigError, match=r"cannot be read .*NAME\.pub each"):
        AllowList(folder)
    subscriber(folder, "alice")
    (folder / "twin.pub").write_bytes((folder / "alice.pub").read_bytes())
    (folder / "my key.pub").write_bytes((folder / "alice.pub").read_bytes())
    (folder / "gone.pub").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConfigError) as caught:
        AllowList(folder)
    everything = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 3
    assert f"{folder / 'twin.pub'} is that of 'alice' too" in everything
    assert f"{folder / 'gone.pub'} cannot be read" in everything
    assert "'my key' cannot name a subscriber" in everything
