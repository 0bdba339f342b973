"""The venue's limits on websockets, counted per IP address over all of its connections.

Source: venue documentation, rate limits (reference section 11.5). Minutes are the venue's, as for
the weight of requests, so that a fast clock shortens them in proportion. It counts and refuses; it
knows no socket.
"""

from __future__ import annotations

import msgspec

from core.model.ports import Clock
from core.model.time import NS_PER_MIN, NS_PER_S
from core.simulation.wire.channels.base import ChannelSettings

ADDRESSES_MAX = 10_000


class SocketSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the venue treats websockets; defaults are documented unless said otherwise.

    Parameters
    ----------
    connections_max, subscriptions_max, users_max, posts_max : int
        Open connections, subscriptions, different users in them and unanswered posts of one
        address. The documentation says 10 connections (older copies 100) and 10 users (an error
        text seen says 15).
    connections_per_minute, messages_per_minute : int
        New connections and client messages of one address.
    idle_ns : int
        The venue ends a connection to which it has sent nothing for so long.
    greeting : str
        Plain text sent first on a new connection; some of the venue's servers send
        ``Websocket connection established.``, most send none.
    channels : ChannelSettings
        Cadences and disputed shapes of the streams.
    """

    connections_max: int = 10
    connections_per_minute: int = 30
    subscriptions_max: int = 1_000
    users_max: int = 10
    posts_max: int = 100
    messages_per_minute: int = 2_000
    idle_ns: int = 60 * NS_PER_S
    greeting: str = ""
    channels: ChannelSettings = ChannelSettings()


class IpShare:
    """What one address uses of its limits."""

    def __init__(self, settings: SocketSettings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._users: dict[str, int] = {}
        self._minute = -1
        self._opened = self._messages = 0
        self.connection_count = self.subscription_count = self.post_count = 0

    @property
    def is_unused(self) -> bool:
        """Whether nothing of this address is open or counted."""
        self._turn()
        held = self.connection_count + self.subscription_count + self.post_count
        return held + self._opened + self._messages == 0

    def open(self) -> bool:
        """Count a new connection; false if the address has too many, open or new."""
        self._turn()
        settings = self._settings
        if self.connection_count >= settings.connections_max:
            return False
        if self._opened >= settings.connections_per_minute:
            return False
        self._opened += 1
        self.connection_count += 1
        return True

    def close(self) -> None:
        """Forget a connection that `open` counted."""
        self.connection_count -= 1

    def use_message(self) -> bool:
        """Count a message of the client; false beyond the minute's limit."""
        self._turn()
        self._messages += 1
        return self._messages <= self._settings.messages_per_minute

    def subscribe(self, user: str | None) -> str | None:
        """Count a subscription and its user; return the venue's error text if it is too much."""
        settings, users = self._settings, self._users
        if user is not None and user not in users and len(users) >= settings.users_max:
            return f"Cannot track more than {settings.users_max} total users."
        if self.subscription_count >= settings.subscriptions_max:
            return f"Cannot track more than {settings.subscriptions_max} subscriptions."
        self.subscription_count += 1
        if user is not None:
            users[user] = users.get(user, 0) + 1
        return None

    def unsubscribe(self, user: str | None) -> None:
        """Forget a subscription that `subscribe` counted."""
        self.subscription_count -= 1
        if user is not None:
            self._users[user] -= 1
            if not self._users[user]:
                del self._users[user]

    def begin_post(self) -> bool:
        """Count a post in flight; false if there are too many."""
        if self.post_count >= self._settings.posts_max:
            return False
        self.post_count += 1
        return True

    def end_post(self) -> None:
        """Forget a post that `begin_post` counted."""
        self.post_count -= 1

    def _turn(self) -> None:
        minute = self._clock.now_ns() // NS_PER_MIN
        if minute != self._minute:
            self._minute = minute
            self._opened = self._messages = 0


class SocketLimits:
    """The shares of all addresses.

    Parameters
    ----------
    settings : SocketSettings
        The limits.
    clock : Clock
        The venue's clock.
    """

    def __init__(self, settings: SocketSettings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._shares: dict[str, IpShare] = {}

    def share(self, ip: str) -> IpShare:
        """Return what an address uses; addresses that use nothing are forgotten in time."""
        share = self._shares.get(ip)
        if share is None:
            if len(self._shares) >= ADDRESSES_MAX:
                self._shares = {k: s for k, s in self._shares.items() if not s.is_unused}
            share = self._shares[ip] = IpShare(self._settings, self._clock)
        return share
