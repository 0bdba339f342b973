"""What tidy code looks like here: each function lists the offences of one rule in one file."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.architecture.tree import functions

LINES_OF_FILE_MAX = 600
LINES_OF_FUNCTION_MAX = 70

BROAD = frozenset({"Exception", "BaseException"})

# Spelled in halves, so that this file passes its own rules.
UNFINISHED_WORDS = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME"]) + r")\b")
UNFINISHED_PHRASES = re.compile(
    r"\bstub(?:s|bed)?\b|not (?:yet )?implemented|coming soon|lorem ipsum", re.IGNORECASE
)
REGISTRY_HOSTS = re.compile(
    "|".join(
        re.escape(".".join(words))
        for words in (
            ("pypi", "org"),
            ("pythonhosted", "org"),
            ("npmjs", "org"),
            ("npmjs", "com"),
            ("yarnpkg", "com"),
            ("crates", "io"),
            ("anaconda", "org"),
        )
    )
)
MACHINE_PATHS = re.compile(
    r"(?<![\w.:/-])/(?:work|farm|root|Users)/|(?<![\w.:/-])/home/(?!nova\b)\w+|[A-Z]:\\Users"
)
SECRETS = re.compile(
    "|".join(
        (
            r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----",
            r"\bAKIA[0-9A-Z]{16}\b",  # AWS
            r"\bgh[pousr]_[A-Za-z0-9]{36}",  # GitHub
            r"\bxox[abprs]-[A-Za-z0-9-]{10,}",  # Slack
            r"\b\d{8,10}:[A-Za-z0-9_-]{35}\b",  # Telegram
            r"\bsk-[A-Za-z0-9_-]{32,}",
        )
    )
)
# Zeros stand for "no hash"; the order of the curve, which begins with Fs, is no secret.
KEY_OF_64_HEX = re.compile(r"\b0x(?!0{64}|F{8})[0-9a-fA-F]{64}\b")
SECRET_FILE_NAMES = re.compile(r"(?:^|/)(?!\.env\.example$)[^/]*\.(?:env|key|pem|p12)$|/?keystore/")
WRITTEN_FILE_NAMES = re.compile(r"\.sqlite(?:-\w+)?$|^logs/(?!README\.md$)|\.log$|\.pkl$")


def thread_sleeps(tree: ast.AST) -> Iterator[int]:
    """Walk the lines that let a thread sleep in real time."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"time.sleep", "sleep"}:
            yield node.lineno


def broad_handlers(tree: ast.AST) -> Iterator[int]:
    """Walk the lines of handlers that catch everything and raise nothing."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        is_broad = any(k is None or (isinstance(k, ast.Name) and k.id in BROAD) for k in kinds)
        if is_broad and not isinstance(node.body[-1], ast.Raise):
            yield node.lineno


def long_functions(tree: ast.AST) -> Iterator[tuple[int, str, int]]:
    """Walk the functions that are too long as line, name and length."""
    for node in functions(tree):
        count = (node.end_lineno or node.lineno) - node.lineno + 1
        if count > LINES_OF_FUNCTION_MAX:
            yield node.lineno, node.name, count


def empty_functions(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Walk the functions without a body, unless they are abstract or overloads.

    One that is right to do nothing has a docstring that says why, and no ``pass`` or ``...``.
    """
    protocol_methods = {
        id(method)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and any("Protocol" in ast.unparse(base) for base in node.bases)
        for method in node.body
    }
    for node in functions(tree):
        decorators = {ast.unparse(d).rpartition(".")[2] for d in node.decorator_list}
        if id(node) in protocol_methods or decorators & {"abstractmethod", "overload"}:
            continue
        is_documented_no_op = len(node.body) == 1 and ast.get_docstring(node)
        body = [s for s in node.body if not _says_nothing(s)]
        is_empty = not body and not is_documented_no_op
        if is_empty or (body and _raises_not_implemented(body[0])):
            yield node.lineno, node.name


def mode_branches(tree: ast.AST) -> Iterator[int]:
    """Walk the lines of conditions on the mode of a session."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If | ast.IfExp | ast.While):
            conditions = [node.test]
        elif isinstance(node, ast.Match):
            conditions = [node.subject]
        else:
            continue
        if any(_names_mode(part) for condition in conditions for part in ast.walk(condition)):
            yield node.lineno


def written_builders(tree: ast.AST) -> Iterator[int]:
    """Walk the lines that could put a builder code into an order action.

    That is any key, keyword argument or assignment of that name, but for an annotated field of a
    struct that decodes what other clients send, and whose default keeps it out of the bytes.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "builder":
            yield node.value.lineno
        elif isinstance(node, ast.Dict):
            for key in node.keys:
                if isinstance(key, ast.Constant) and key.value == "builder":
                    yield key.lineno
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if ast.unparse(target).endswith((".builder", "['builder']")):
                    yield node.lineno


def _says_nothing(statement: ast.stmt) -> bool:
    is_constant = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return is_constant or isinstance(statement, ast.Pass)


def _raises_not_implemented(statement: ast.stmt) -> bool:
    raised = statement.exc if isinstance(statement, ast.Raise) else None
    return raised is not None and "NotImplemented" in ast.unparse(raised)


def _names_mode(node: ast.AST) -> bool:
    if isinstance(node, ast.Compare):
        # A bare `mode` may be that of a file; compared with a word it is a session's.
        is_name = isinstance(node.left, ast.Name) and node.left.id == "mode"
        right = node.comparators[0]
        return is_name and isinstance(right, ast.Constant) and isinstance(right.value, str)
    if isinstance(node, ast.Name):
        return node.id == "Mode"
    return isinstance(node, ast.Attribute) and node.attr == "mode"
