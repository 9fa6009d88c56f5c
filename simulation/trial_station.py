"""The branch of the trial: its station's screen, with the guests' tokens in the readers."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from simulation.trial import BRANCH, CLERK, CLERK_PASSWORD
from token_station.screen.clerks import Role
from xuqi.screen import clerks_of, served_screen
from xuqi.simulated_readers import opened_station

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from simulation.trial import Trial
    from token_station.screen.person import PersonAtScreen
    from token_station.station import Station


@contextmanager
def trial_station(trial: Trial, *, port: int) -> Iterator[int]:
    """
    Serve the screen; yield its port. The station has a folder of its own, and in it the tokens of
    the guests alone: a reader for each customer of the bank would be a wall of readers.
    """
    app = trial.app
    settings = replace(app.settings, home=trial.branch_home, branch=BRANCH)
    clerks_of(settings, trial.clock).add(
        CLERK, CLERK_PASSWORD, shown="王淑芬", role=Role.SUPERVISOR
    )

    def opened(person: PersonAtScreen) -> AbstractContextManager[Station]:
        return opened_station(settings, app.keys, trial.clock, app.log, person, store=app.store)

    with served_screen(settings, trial.clock, opened, port=port) as listening:
        yield listening
