"""The command `xuqi`."""


def main() -> None:
    """
    Run the command.
    """
