"""The command `xuqi`."""


def main() -> None:
    """Run the command."""
    from xuqi.cli.main import xuqi  # noqa: PLC0415 - whoever imports this module may not want it

    xuqi(prog_name="xuqi")


if __name__ == "__main__":
    main()
