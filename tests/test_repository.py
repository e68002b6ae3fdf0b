"""Rules of the house that a program can check. Every failure names file and line."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LIBRARY, LOADERS = ROOT / "sparse_ref", ROOT / "data_loaders"
MAX_MODULE_LINES, MAX_FUNCTION_LINES = 300, 45

# Top to bottom: a module imports from its own tier and from those below it (design, section 3).
# A name stands for the module or the whole package.
TIERS = [
    ["cli", "__main__", "experiments", "conformance", "estimator", "bench"],
    ["plots", "plots_density", "plots_topology", "analysis", "lottery"],
    ["train", "train_step", "train_checks", "history", "recorders", "checkpoint"],
    ["methods", "at_init"],
    ["downsize"],
    ["models", "network", "network_changes", "network_checks", "network_units", "shadow"],
    ["layers", "losses", "optim", "initialise", "residual"],
    ["conv"],
    ["csr", "csr_checks", "selection", "allocation", "schedules", "topology", "pruning", "npz"],
    ["structure", "dense_gradient"],
    ["kernels", "tiles", "pooling_kernels", "batch_norm_kernels"],
    ["elementwise", "activation_kernels", "response_norm_kernels", "work"],
    ["lanes_select", "lanes_select_llvm"],
    ["lanes", "lanes_llvm", "lanes_ir", "elementary", "threads", "bundles", "version"],
]
TIER = {name: len(TIERS) - k for k, names in enumerate(TIERS) for name in names}
MAY_IMPORT_LOADERS = {"cli"}

FILES = sorted([*LIBRARY.rglob("*.py"), *LOADERS.rglob("*.py")])
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}


def at(path, node):
    """``file:line`` of a node, as an editor opens it."""
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"


def module_name(path):
    """Dotted name of a file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path) for path in FILES}


def imports(path, tree):
    """(node, dotted name) of everything a file imports, relative imports resolved."""
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                yield node, whole if whole in MODULES else base


def room(name):
    """The part of `sparse_ref.part.more` that stands in TIERS; None for the package itself."""
    parts = name.split(".")
    return parts[1] if parts[0] == "sparse_ref" and len(parts) > 1 else None


def wrong_imports(path, tree):
    """Imports that go upwards, or where they must not."""
    me, my_name = room(module_name(path)), module_name(path)
    for node, name in imports(path, tree):
        there = room(name)
        packages = my_name.split(".")[0], name.split(".")[0]
        if packages == ("data_loaders", "sparse_ref"):
            yield f"{at(path, node)}: data_loaders must not import {name}"
        if packages == ("sparse_ref", "data_loaders") and me not in MAY_IMPORT_LOADERS:
            yield f"{at(path, node)}: only cli.py may import {name}"
        if me is None:
            continue
        if name == "sparse_ref":
            yield f"{at(path, node)}: import the module that is meant, not the whole package"
        if there is not None and TIER.get(there, 0) > TIER.get(me, 0):
            yield f"{at(path, node)}: {me} must not import {there}, which stands above it"
        method_file = me == there == "methods" and my_name != "sparse_ref.methods"
        if method_file and name not in (my_name, "sparse_ref.methods.base", *own_parts(my_name)):
            yield f"{at(path, node)}: a method file must not import {name}"


def own_parts(name):
    """Modules of the method file `name`: they begin with its name and hold no method."""
    beginnings = f"{name.rstrip('_')}_"
    return [
        module_name(path)
        for path, tree in TREES.items()
        if module_name(path).startswith(beginnings) and not holds_a_method(tree)
    ]


def holds_a_method(tree):
    """Whether a class of a file derives from `Method`."""
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    return any(dotted(base) == "Method" for node in classes for base in node.bases)


def functions(tree):
    """Every function and method of a file."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


def length(function):
    """Lines of a function without its docstring; decorators do not count."""
    lines = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function) is not None:
        docstring = function.body[0]
        lines -= docstring.end_lineno - docstring.lineno + 1
    return lines


def public(tree):
    """Public classes and functions of a module, and public methods of those classes."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    stack = [node for node in tree.body if isinstance(node, kinds)]
    while stack:
        node = stack.pop()
        if node.name.startswith("_"):
            continue
        yield node
        if isinstance(node, ast.ClassDef):
            stack += [child for child in node.body if isinstance(child, kinds)]


def dotted(node):
    """``np.random.rand`` of such an expression; an empty string for anything else."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def is_false(node):
    """Whether an expression is the literal False."""
    return isinstance(node, ast.Constant) and node.value is False


NEW_RANDOM = {"Generator", "default_rng", "SeedSequence", "BitGenerator", "PCG64", "Philox"}


def wrong_words(path, tree):
    """Names and calls that the house does not use."""
    for node in ast.walk(tree):
        name = dotted(node)
        of_random = re.match(r"(np|numpy)\.random\.(\w+)$", name)
        if of_random and of_random[2] not in NEW_RANDOM:
            yield f"{at(path, node)}: {name} has a global state; take a Generator"
        if isinstance(node, ast.Attribute) and node.attr == "csr_matrix":
            yield f"{at(path, node)}: csr_array, not csr_matrix"
        if isinstance(node, ast.keyword) and node.arg == "fastmath":
            yield f"{at(path, node.value)}: fastmath lets the compiler reorder sums"
        if (
            isinstance(node, ast.keyword)
            and node.arg == "allow_pickle"
            and not is_false(node.value)
        ):
            yield f"{at(path, node.value)}: allow_pickle must be False"
        if (
            isinstance(node, ast.Call)
            and dotted(node.func) == "print"
            and not path.match("*/cli.py")
        ):
            yield f"{at(path, node)}: print; only cli.py speaks to a terminal"
        if isinstance(node, ast.Assert):
            yield f"{at(path, node)}: assert; raise an error that says what is wrong"
    for node, name in imports(path, tree):
        forbidden = name.split(".")[0] in ("pickle", "dill", "cloudpickle", "random")
        if forbidden and not (name == "pickle" and path.match("data_loaders/cifar_pickles.py")):
            yield f"{at(path, node)}: {name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and any(a.name == "csr_matrix" for a in node.names):
            yield f"{at(path, node)}: csr_array, not csr_matrix"


def is_njit(node):
    """Whether a decorator or the function of a call is Numba's compiler."""
    target = node.func if isinstance(node, ast.Call) else node
    return dotted(target).split(".")[-1] in ("njit", "jit", "vectorize", "guvectorize", "stencil")


def uncached(path, tree):
    """Numba functions that every process would compile anew."""
    decorators = {d for f in functions(tree) for d in f.decorator_list if is_njit(d)}
    calls = {n for n in ast.walk(tree) if isinstance(n, ast.Call) and is_njit(n)}
    for node in sorted(decorators | calls, key=lambda n: n.lineno):
        keywords = {k.arg: k.value for k in node.keywords} if isinstance(node, ast.Call) else {}
        cache = keywords.get("cache")
        if not (isinstance(cache, ast.Constant) and cache.value is True):
            yield f"{at(path, node)}: njit needs cache=True"


def report(faults):
    """A failure's text: one fault a line."""
    return "\n".join(["", *faults])


def test_there_is_something_to_check():
    assert {"sparse_ref.csr", "sparse_ref.methods.rigl", "data_loaders.mnist"} <= MODULES


def test_every_module_has_a_tier():
    rooms = {room(name) for name in MODULES} - {None}
    assert rooms <= set(TIER), f"give these a tier here: {sorted(rooms - set(TIER))}"


def test_imports_go_downwards():
    faults = [fault for path, tree in TREES.items() for fault in wrong_imports(path, tree)]
    assert not faults, report(faults)


def test_modules_are_short():
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    faults = [
        f"{path.relative_to(ROOT)}:{MAX_MODULE_LINES + 1}: {n} lines, more than {MAX_MODULE_LINES}"
        for path, n in lengths.items()
        if n > MAX_MODULE_LINES
    ]
    assert not faults, report(faults)


def test_functions_are_short():
    faults = [
        f"{at(path, node)}: {node.name} has {length(node)} lines, more than {MAX_FUNCTION_LINES}"
        for path, tree in TREES.items()
        for node in functions(tree)
        if length(node) > MAX_FUNCTION_LINES
    ]
    assert not faults, report(faults)


def test_everything_public_has_a_docstring():
    faults = [
        f"{at(path, node)}: {node.name} has no docstring"
        for path, tree in TREES.items()
        for node in public(tree)
        if not ast.get_docstring(node)
    ]
    assert not faults, report(faults)


def test_every_file_says_what_it_is_for():
    faults = [
        f"{at(path, None)}: no docstring" for path in FILES if not ast.get_docstring(TREES[path])
    ]
    assert not faults, report(faults)


def test_no_forbidden_word():
    faults = [fault for path, tree in TREES.items() for fault in wrong_words(path, tree)]
    assert not faults, report(faults)


def test_compiled_functions_are_cached():
    faults = [fault for path, tree in TREES.items() for fault in uncached(path, tree)]
    assert not faults, report(faults)


def test_no_file_is_named_after_nothing():
    nothing = {"utils", "util", "helpers", "helper", "misc", "common"}
    faults = [
        str(path.relative_to(ROOT))
        for folder in (LIBRARY, LOADERS, ROOT / "tests")
        for path in folder.rglob("*")
        if path.stem.lower().strip("_") in nothing
    ]
    assert not faults, report(faults)


def test_the_naive_twin_imports_nothing_of_ours():
    path = ROOT / "tests" / "naive.py"
    names = {name.split(".")[0] for _, name in imports(path, ast.parse(path.read_text()))}
    assert names <= {"math", "fractions", "itertools", "numpy"}


def test_tests_use_no_worn_out_seed():
    pattern = re.compile(r"(default_rng|SeedSequence|PCG64)\((0|1|42|100)\)|seed\((0|1|42|100)\)")
    faults = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if pattern.search(line)
    ]
    assert not faults, report(faults)


# ---------------------------------------------------------------- the checks check

WRONG = {
    "methods/rigl.py": ("from sparse_ref.methods.set_ import SET", "a method file must not import"),
    "methods/set_.py": (
        "from sparse_ref.methods.set_rigl import SetRigL",
        "a method file must not import",
    ),
    "methods/dsr.py": (
        "from sparse_ref.methods.set_codes import weakest",
        "a method file must not import",
    ),
    "methods/other.py": ("from sparse_ref.train import fit", "must not import train"),
    "csr.py": ("from sparse_ref.layers.base import LayerGrad", "must not import layers"),
    "kernels.py": ("import sparse_ref.csr", "must not import csr"),
    "layers/linear.py": ("from .. import network", "must not import network"),
    "train.py": ("import data_loaders", "only cli.py may import"),
    "losses.py": ("from sparse_ref import csr, models", "must not import models"),
    "optim.py": ("import sparse_ref", "not the whole package"),
}


@pytest.mark.parametrize(("name", "source", "words"), [(k, *v) for k, v in WRONG.items()])
def test_an_import_that_goes_upwards_is_found(name, source, words):
    faults = list(wrong_imports(LIBRARY / name, ast.parse(f"'''Doc.'''\n{source}\n")))
    assert len(faults) == 1
    assert words in faults[0]
    assert faults[0].startswith(f"sparse_ref/{name}:2: ")


def test_a_method_may_have_parts_of_its_own():
    tree = ast.parse("from sparse_ref.methods import rigl_codes\n")
    assert list(wrong_imports(LIBRARY / "methods" / "rigl.py", tree)) == []


def test_the_loaders_may_not_import_the_library():
    tree = ast.parse("def f():\n    from sparse_ref.csr import flat\n")
    faults = list(wrong_imports(LOADERS / "idx.py", tree))
    assert faults == ["data_loaders/idx.py:2: data_loaders must not import sparse_ref.csr"]


@pytest.mark.parametrize(
    "source",
    [
        "np.random.rand(3)",
        "numpy.random.seed(3)",
        "np.random.RandomState(3)",
        "import pickle",
        "import random",
        "from scipy.sparse import csr_matrix",
        "scipy.sparse.csr_matrix(3)",
        "njit(fastmath=True)",
        "np.load(f, allow_pickle=True)",
        "print(3)",
        "assert x",
    ],
)
def test_a_forbidden_word_is_found(source):
    faults = list(wrong_words(LIBRARY / "csr.py", ast.parse("\n" + source)))
    assert len(faults) == 1
    assert faults[0].startswith("sparse_ref/csr.py:2: ")


@pytest.mark.parametrize(
    "source", ["np.random.default_rng(3)", "rng.random(3)", "rng: np.random.Generator"]
)
def test_a_generator_is_no_forbidden_word(source):
    assert list(wrong_words(LIBRARY / "csr.py", ast.parse(source))) == []


@pytest.mark.parametrize(
    "decorator", ["njit", "njit()", "nb.njit(parallel=True)", "njit(cache=False)"]
)
def test_an_uncached_function_is_found(decorator):
    tree = ast.parse(f"@{decorator}\ndef f():\n    pass\n")
    assert list(uncached(LIBRARY / "x.py", tree)) == ["sparse_ref/x.py:1: njit needs cache=True"]


def test_the_docstring_does_not_count_as_length():
    tree = ast.parse('def f(x):\n    """One.\n\n    Two.\n    """\n    return x\n')
    assert length(tree.body[0]) == 2
