"""What can go wrong in the host itself; an error of a user's function is never one of these."""


class HostError(Exception):
    """The host cannot do what was asked; the text says what, why and what to do."""


class ConfigurationError(HostError):
    """A setting or host.json holds something the host must not start with; the text names file, key and reason."""


class AppLoadError(HostError):
    """The function app could not be imported or indexed as a whole."""


class ChannelClosed(HostError):
    """The other process is gone, or is ending."""


TIMED_OUT = 70  # the exit code of an HTTP worker that ends itself because a function has outlived functionTimeout
