"""Instances for acceptance tests: made on free ports, ended with the session."""

from collections.abc import Callable, Iterator

import pytest

from tests.acceptance.acceptance_support import RunningInstance, consecutive_ports


@pytest.fixture(scope="session")
def instance_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., RunningInstance]]:
    """Make instances that end with the tests."""
    made: list[RunningInstance] = []

    def make(name: str, *options: str) -> RunningInstance:
        ports = consecutive_ports()
        instance = RunningInstance(
            data_dir=tmp_path_factory.mktemp(name) / "data", port=ports[0], storage_port=ports[1], options=options
        )
        made.append(instance)
        return instance

    yield make
    for instance in made:
        instance.kill_everything()


@pytest.fixture(scope="session")
def demo(instance_of: Callable[..., RunningInstance]) -> RunningInstance:
    """The demo instance after its first start."""
    instance = instance_of("demo")
    instance.up()
    return instance
