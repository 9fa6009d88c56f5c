"""Whenever the power fails, what is left behind is what would have been without."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from renewal.delivery import dead_letters
from renewal.errors import GatewayUnavailableError, GatewayUnsureError
from renewal.eventlog.embedded import EmbeddedLog
from renewal.outcome import Reject
from schema.reasons import StatedReason
from tests.renewal.delivery.scripted import (
    BUSY,
    Acting,
    Always,
    Asking,
    PowerCut,
    Sql,
    asked,
    dead,
    delivery,
    effects,
    end,
    length,
    pass_time,
    position,
    states,
    tell,
    waiting,
)
from tests.scenario.stores import opened, sqlite_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from renewal.db.engine import Store
    from schema.events import ChangeRequested
    from tests.renewal.delivery.scripted import Script

LINES = {
    "busy": BUSY,
    "down": GatewayUnavailableError("down"),
    "lost": GatewayUnsureError("lost"),
    "refused": Reject(StatedReason.NOTE.why(note="no")),
    "bug": KeyError("bug"),
}
#: In ``prepare`` a bug is one event's death; in ``carry_out`` it is an end that nobody knows.
DEADLY_TO = {Sql: {"refused", "bug", "down", "lost"}, Acting: {"refused"}, Asking: {"refused"}}


@dataclass
class Power:
    """Fails at the steps of these numbers, counted over all processes."""

    cuts: set[int]
    step: int = 0
    points: list[str] = field(default_factory=list)

    def probe(self, point: str) -> None:
        self.step += 1
        self.points.append(point)
        if self.step in self.cuts:
            raise PowerCut


@dataclass(frozen=True)
class Story:
    told: tuple[ChangeRequested, ...]
    script: dict[tuple[int, int], tuple[str, ...]]
    at_most: int
    cuts: frozenset[int] = frozenset()

    def lines(self, deadly: set[str]) -> Script:
        return {
            name: [Always(LINES[line]) if line in deadly else LINES[line] for line in lines]
            for name, lines in self.script.items()
        }

    def ends(self, kind: type[Sql]) -> dict[str, str]:
        """What becomes of each event, whatever happens on the way."""
        ends = {}
        for event in self.told:
            lines = self.script.get((event.certificate, event.number), ())
            died = not DEADLY_TO[kind].isdisjoint(lines)
            ends[f"{event.certificate}:{event.number}"] = "dead" if died else "settled"
        return ends


@st.composite
def stories(draw: st.DrawFn) -> Story:
    keys = draw(st.lists(st.integers(1, 3), min_size=1, max_size=8))
    told = tuple(asked(key, keys[:place].count(key) + 1) for place, key in enumerate(keys))
    names = st.sampled_from([(event.certificate, event.number) for event in told])
    lines = st.lists(st.sampled_from(sorted(LINES)), max_size=2).map(tuple)
    return Story(
        told=told,
        script=draw(st.dictionaries(names, lines, max_size=3)),
        at_most=draw(st.sampled_from([1, 2, 3, 500])),
        cuts=frozenset(draw(st.lists(st.integers(1, 60), max_size=4))),
    )


def live(store: Store, consumer: Sql, story: Story) -> Power:
    """Start the process anew after each power cut, until nothing is left to do."""
    power = Power(set(story.cuts))
    quiet = 0
    while quiet < 12:
        reader = EmbeddedLog(store).reader(consumer.group, consumer.topics)
        process = delivery(consumer, store, reader, at_most=story.at_most, probe=power.probe)
        try:
            while quiet < 12:
                quiet = 0 if process.run_once() else quiet + 1
                pass_time(store)
        except PowerCut:
            pass
        finally:
            reader.close()
    return power


@pytest.mark.parametrize("kind", [Sql, Acting, Asking])
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
@given(story=stories())
def test_each_effect_is_there_once_and_in_order_whatever_happens(
    kind: type[Sql], story: Story
) -> None:
    consumer = kind(script=story.lines(DEADLY_TO[kind]))
    with (
        tempfile.TemporaryDirectory() as folder,
        opened(sqlite_url(Path(folder)), make=True) as store,
    ):
        tell(store, *story.told)

        power = live(store, consumer, story)

        ends = story.ends(kind)
        settled = [name for name, end_ in ends.items() if end_ == "settled"]
        ours = {name: state for name, state in states(store).items() if name in ends}
        assert ours == ends
        assert set(dead(store)) == {name for name, end_ in ends.items() if end_ == "dead"}
        assert waiting(store) == []
        assert position(store) == end(store)
        assert length(store) == len(story.told) + len(settled)
        for key in {event.certificate for event in story.told}:
            done = [f"{one}:{number}" for one, number in effects(store) if one == key]
            assert done == [name for name in settled if name.startswith(f"{key}:")]
        if isinstance(consumer, Acting):
            check_world(consumer, settled, power)


def check_world(consumer: Acting, settled: Sequence[str], power: Power) -> None:
    done = [f"{event.certificate}:{event.number}" for event in consumer.world]
    assert set(done) == set(settled)
    # Who asks does nothing twice; who repeats does so only after a power cut.
    most = 0 if isinstance(consumer, Asking) else len(power.cuts)
    assert len(done) - len(set(done)) <= most


@pytest.mark.parametrize("kind", [Sql, Acting, Asking])
def test_a_power_cut_at_each_single_step_changes_nothing(tmp_path: Path, kind: type[Sql]) -> None:
    told = (asked(1, 1), asked(1, 2), asked(2, 1), asked(1, 3))
    story = Story(told, {(1, 1): ("busy",), (2, 1): ("refused",)}, at_most=3)

    def left(*cuts: int) -> tuple[object, ...]:
        with opened(sqlite_url(tmp_path / str(cuts)), make=True) as store:
            tell(store, *told)
            consumer = kind(script=story.lines(DEADLY_TO[kind]))
            power = live(store, consumer, replace(story, cuts=frozenset(cuts)))
            steps.append(power.step)
            return sorted(effects(store)), states(store), dead(store), end(store)

    steps: list[int] = []
    undisturbed = left()

    after_cut = {step: left(step) for step in range(1, steps[0] + 1)}

    assert len(after_cut) > 10
    assert after_cut == dict.fromkeys(after_cut, undisturbed)


def test_what_was_given_up_and_sent_again_is_done_once(tmp_path: Path) -> None:
    with opened(sqlite_url(tmp_path), make=True) as store:
        consumer = Asking(script={(1, 1): [Reject(StatedReason.NOTE.why(note="no"))]})
        tell(store, asked(1, 1), asked(1, 2))
        story = Story((), {}, at_most=9)
        live(store, consumer, story)
        with store.transaction() as work:
            dead_letters.replay(work, 1)

        live(store, consumer, replace(story, cuts=frozenset({3, 8, 12})))

        assert effects(store) == [(1, 2), (1, 1)]
        assert consumer.world == [asked(1, 2), asked(1, 1)]
