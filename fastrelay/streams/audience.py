"""Who watches a run, as the provider's account needs to know (see sources/account_policy.py)."""

from fastrelay.sources.account_policy import Audience
from fastrelay.streams.run import Run


def audience(run: Run, newest: float, quiet_since: float) -> Audience:
    """Loop times: somebody came last at `newest`, and somebody left last at `quiet_since`."""
    sessions = list(run.hls.sessions) if run.hls is not None else []
    watching = {viewer.who for viewer in run.viewers.values()}
    polling = [session for session in sessions if not session.waiting]
    newcomers = watching | {session.who for session in sessions if session.waiting and session.came}
    return Audience(
        connected=frozenset(watching | {session.who for session in sessions if session.waiting}),
        polling=frozenset(session.who for session in polling),
        quiet_since=max((session.last_request for session in polling), default=quiet_since),
        newcomers=frozenset() if run.ready.done() else frozenset(newcomers),
        newest=newest,
    )
