"""The command `eisbach`; each subcommand is a file."""


def main() -> None:
    """Runs the command line and exits the process."""
    from eisbach.cli.app import app
    from eisbach.cli.failure import told_once
    from eisbach.run.output import open_missing

    open_missing()
    with told_once():
        app()
