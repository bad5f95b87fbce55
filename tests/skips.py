"""Tests of what not every machine has: left out there, told of at the end of a run, and never counted as passed."""

from typing import NoReturn

import pytest

NOT_ON_THIS_MACHINE = "not on this machine: "


def not_on_this_machine(what: str) -> NoReturn:
    """Leave a test out for lack of something that nobody is asked to install, such as another Python.

    `--require all` lets such a test be left out; any other skip fails there.
    """
    pytest.skip(NOT_ON_THIS_MACHINE + what)
