"""The command `eisbach`; each subcommand is a file."""


def main() -> None:
    """Runs the command line and exits the process."""
    import sys

    from eisbach.cli.app import app
    from eisbach.cli.failure import told_once
    from eisbach.run.output import open_missing

    open_missing()
    with told_once():
        status = app(standalone_mode=False)
    sys.exit(status)
