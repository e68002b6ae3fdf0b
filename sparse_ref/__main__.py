"""``python -m sparse_ref`` and ``sparse-ref``: the command, or the name of what it lacks."""

import sys


def main() -> None:
    """Run the command; name the missing extra if it cannot run."""
    try:
        from sparse_ref.cli import app
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich", "pydantic", "threadpoolctl"):
            raise
        sys.exit(
            f"sparse-ref: the command needs {error.name}: "
            'pip install "sparse-ref[cli,config]" (or ".[cli,config]" in a clone)'
        )
    app(prog_name="sparse-ref")


if __name__ == "__main__":
    main()
