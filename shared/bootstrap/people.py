"""Who may do what: users, their keys and their sessions."""

from functools import cached_property
from typing import TYPE_CHECKING

from shared.bootstrap.foundations import Foundations

if TYPE_CHECKING:
    from shared.identity.api_keys import ApiKeys
    from shared.identity.recognition import Recognition
    from shared.identity.session_secrets import SessionSecrets
    from shared.identity.sessions import BrowserSessions
    from shared.identity.throttle import SignInThrottle
    from shared.identity.users import Users


class People(Foundations):
    """Users, keys and sessions."""

    @cached_property
    def users(self) -> "Users":
        """Users and their roles."""
        from shared.identity.users import Users

        return Users(self.engine, clock=self.clock)

    @cached_property
    def api_keys(self) -> "ApiKeys":
        """Named API keys, the administrator's among them."""
        from shared.identity.api_keys import ApiKeys

        return ApiKeys(self.engine, self.settings.administrator_key, clock=self.clock)

    @cached_property
    def recognition(self) -> "Recognition":
        """Whom a key or session stands for."""
        from shared.identity.recognition import Recognition, Shown

        return Recognition(
            {Shown.KEY: self.api_keys.holder_of, Shown.SESSION: lambda token: self.sessions.holder_of(token)},
            note_use=self.api_keys.note_use,
        )

    @cached_property
    def session_secrets(self) -> "SessionSecrets":
        """What signs browser sessions."""
        from shared.identity.session_secrets import SessionSecrets

        return SessionSecrets(self.settings.keys / "sessions", changing=self.audit.changing)

    @cached_property
    def sessions(self) -> "BrowserSessions":
        """Browser sessions."""
        from shared.identity.sessions import BrowserSessions

        return BrowserSessions(self.engine, self.session_secrets, hours=self.settings.session_hours, clock=self.clock)

    @cached_property
    def sign_in_throttle(self) -> "SignInThrottle":
        """How many sign-ins failed lately."""
        from shared.identity.throttle import SignInThrottle

        return SignInThrottle()
