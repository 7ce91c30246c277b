from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from inspector.catchup.limits import Limits
from tests.inspections import many

A, B, C = b"a", b"b", b"c"


def test_a_bucket_empties_and_fills_up_again():
    limits = Limits(rate=2, burst=4, peers=10)
    assert limits.wait(A, 100.0) == 0
    limits.charge(A, 10, 100.0)
    assert limits.wait(A, 100.0) == 3.0, "it owes 6 tokens"
    assert limits.wait(A, 102.0) == 1.0
    assert limits.wait(A, 103.0) == 0
    limits.charge(A, 1, 200.0)
    assert limits.wait(A, 200.0) == 0, "it was full, no more"


def test_peers_do_not_share_a_bucket():
    limits = Limits(rate=1, burst=1, peers=10)
    limits.charge(A, 5, 0.0)
    assert (limits.wait(A, 0.0), limits.wait(B, 0.0)) == (4.0, 0.0)


def test_newcomers_wait_until_a_bucket_is_full_again():
    limits = Limits(rate=1, burst=10, peers=2)
    limits.charge(A, 3, 0.0)
    limits.charge(B, 5, 0.0)
    assert limits.wait(C, 1.0) == 2.0
    assert limits.wait(A, 1.0) == 0.0
    assert limits.wait(C, 3.0) == 0.0


@many
@given(st.lists(st.tuples(st.floats(0, 3), st.floats(0, 20)), max_size=50))
def test_nobody_gets_more_than_his_share(requests):
    """However one asks: no more than the burst, what flows in, and the one answer that went beyond."""
    limits = Limits(rate=5, burst=10, peers=1)
    now = got = 0.0
    for pause, tokens in requests:
        now += pause
        if limits.wait(A, now) == 0:
            assert got <= 10 + 5 * now + 1e-6
            limits.charge(A, tokens, now)
            got += tokens
