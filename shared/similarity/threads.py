"""How many threads linear algebra may use: one."""

from threadpoolctl import threadpool_limits


def use_one_thread() -> None:
    """Keep this process's linear algebra on one thread, from now on; libraries imported later are not kept.

    The products here are many and small: on a busy machine several threads spend tens of milliseconds waiting for each
    other where one needs a tenth of one. One thread also makes sums in the same order whatever the machine has.
    """
    threadpool_limits(limits=1)
