"""Instances for acceptance tests: made on free ports, ended with the file that made them."""

from collections.abc import Iterator
from typing import Protocol

import pytest

from shared.erp.demo.generate import generate_demo
from tests.acceptance.acceptance_support import RunningInstance, consecutive_ports

ITEMS = 150  # of a factory for what does not depend on its size
SEED = 42


class InstanceOf(Protocol):
    """Makes an instance by name; with `items`, over a factory of so many, which its first start then finds there."""

    def __call__(self, name: str, *options: str, items: int | None = None) -> RunningInstance: ...


@pytest.fixture(scope="module")
def instance_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InstanceOf]:
    """Make instances that end with the tests of a file: the next one's shall have the machine to themselves."""
    made: list[RunningInstance] = []

    def make(name: str, *options: str, items: int | None = None) -> RunningInstance:
        ports = consecutive_ports()
        instance = RunningInstance(
            data_dir=tmp_path_factory.mktemp(name) / "data", port=ports[0], storage_port=ports[1], options=options
        )
        if items is not None:
            generate_demo(instance.data_dir / "sources" / "demo", items=items, seed=SEED)
        made.append(instance)
        return instance

    yield make
    for instance in made:
        instance.kill_everything()


@pytest.fixture(scope="module")
def newcomer(instance_of: InstanceOf) -> RunningInstance:
    """The instance of somebody who typed `up` and nothing else."""
    instance = instance_of("newcomer")
    instance.up()
    return instance


@pytest.fixture(scope="module")
def demo(instance_of: InstanceOf) -> RunningInstance:
    """The demo instance over a small factory, after its first start; a failed message is soon tried again."""
    instance = instance_of("demo", items=ITEMS)
    instance.environment["AzureFunctionsJobHost__extensions__queues__visibilityTimeout"] = "00:00:01"
    instance.up()
    return instance
