"""Where a rebuild meets keys that are used again, compensations run once more, and forgotten runs."""

from __future__ import annotations

from sagas.core.definition import START, Role
from sagas.core.instance import Fact
from sagas.core.refold import Found, refold
from sagas.wire.ids import mark_of
from tests.simulation.purchase import Paid, Placed, Purchase

DEFINITION = Purchase.definition


def start(id_: str, *, seq: int = 0) -> Found:
    fact = Fact(id_, Placed.event_type, START, Role.DONE, published=True)
    return Found(fact, int(seq > 0), seq, mark_of(id_), stored=id_.encode())


def paid(*, cause: str) -> Found:
    fact = Fact("paid", Paid.event_type, "pay", Role.DONE, cause, published=True)
    return Found(fact, 1, 2, mark_of("paid"))


def test_a_later_run_that_nobody_has_let_begin_is_not_begun_by_a_rebuild() -> None:
    assert refold(DEFINITION, "p~2", [start("asked")]) is None


def test_a_later_run_that_was_let_begin_is_folded_by_whichever_copy_is_read_first() -> None:
    request, accepted = start("same"), start("same", seq=1)
    for found in ([request, accepted], [accepted, request]):
        refolded = refold(DEFINITION, "p~2", found)
        assert refolded is not None
        assert list(refolded.instance.facts) == [Placed.event_type]


def test_a_later_run_has_the_start_that_its_host_let_begin() -> None:
    refolded = refold(DEFINITION, "p~2", [start("refused"), start("accepted", seq=1)])
    assert refolded is not None
    assert refolded.events == {Placed.event_type: b"accepted"}


def test_of_several_starts_the_one_counts_on_which_others_acted() -> None:
    found = [start("refused"), start("accepted"), paid(cause="accepted")]
    refolded = refold(DEFINITION, "p", found)
    assert refolded is not None
    assert refolded.events[Placed.event_type] == b"accepted"
