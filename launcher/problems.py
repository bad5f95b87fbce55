"""What the launcher says when it cannot go on: one sentence, its remedy, an exit code other than 0."""

EXIT_CODE = 20


class SetupProblem(Exception):
    """This machine or folder cannot run the product as it is; `remedy` says what to do about it."""

    def __init__(self, what: str, remedy: str) -> None:
        """Say in `what` what is wrong and in `remedy` what to do, each as a sentence or part of one."""
        super().__init__(what)
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.what} {self.remedy}"
