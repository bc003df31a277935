"""The command `eisbach`; each subcommand is a file."""


def main() -> None:
    """Runs the command line and exits the process."""
    import sys

    try:
        from eisbach.cli.app import run
        from eisbach.cli.failure import told_once
        from eisbach.run.output import name_errors, open_missing

        open_missing()
        name_errors()
        with told_once():
            status = run(sys.argv[1:])
            print(end="", flush=True)
    except BaseException as error:
        if not is_interrupt(error):
            raise
        from eisbach.cli.failure import interrupted

        interrupted()
    sys.exit(status)


def is_interrupt(error: BaseException | None) -> bool:
    """Whether Ctrl-C was the cause, also where an import made another of it.

    Until Python 3.12 what comes up in `__set_name__` becomes a RuntimeError.
    """
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__
    return False
