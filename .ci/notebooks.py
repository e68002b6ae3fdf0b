"""Runs every notebook at smoke scale from its text form, and checks the copies beside them.

python .ci/notebooks.py FOLDER          execute into FOLDER (SPARSE_REF_SMOKE=1)
python .ci/notebooks.py --write         execute at full scale, replace notebooks/*.ipynb
"""

import os
import sys
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

LIMIT = 1_000_000  # bytes of an executed notebook in the repository


def execute(source: Path):
    notebook = jupytext.read(source)
    NotebookClient(notebook, timeout=900, resources={"metadata": {"path": source.parent}}).execute()
    for cell in notebook.cells:  # times of execution would change with every run
        cell.metadata.pop("execution", None)
    return notebook


def same_cells(source: Path, executed: Path) -> bool:
    one, two = jupytext.read(source), nbformat.read(executed, 4)
    return [c.source for c in one.cells] == [c.source for c in two.cells]


def main(target: str) -> None:
    for source in sorted(Path("notebooks").glob("*.py")):
        executed = source.with_suffix(".ipynb")
        if target == "--write":
            nbformat.write(execute(source), executed)
        else:
            os.environ["SPARSE_REF_SMOKE"] = "1"
            nbformat.write(execute(source), Path(target) / executed.name)
        if not same_cells(source, executed):
            sys.exit(f"{executed} does not hold the cells of {source}: run {__file__} --write")
        if executed.stat().st_size > LIMIT:
            sys.exit(f"{executed} is larger than {LIMIT} bytes")
        print(f"{source.name}: runs; {executed.stat().st_size:,} bytes executed")


main(sys.argv[1])
