"""A float near money is a kopeck lost somewhere; the one exception proves its bound."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

MONEY = (
    "kilokassa/core/money.py",
    "kilokassa/core/apportion.py",
    "kilokassa/app/payments.py",
    "kilokassa/app/closing.py",
    "kilokassa/app/running.py",
    "kilokassa/app/accounts_file.py",
    "kilokassa/app/accounts_import.py",
    "tariffs",
    "wallet",
    "billing",
    "heating",
    "invoices/statement.py",
    "invoices/payment_document.py",
    "invoices/payment_qr.py",
    "invoices/receipt.py",
)
EXACT = {"tariffs/exact_sums.py"}
"""Carries whole numbers in float64 after proving that every partial sum stays under 2^53."""

IN_FRACTIONS = {"heating/statutory.py"}
"""Divides fractions, which stay exact; everything else of the rule holds there too."""

FLOAT_NAMES = {"float", "float32", "float64", "float16", "Float", "Numeric", "REAL", "Double"}


def test_no_float_stands_where_money_is_computed():
    found = [hit for file in _files() for hit in _floats(file)]

    assert not found, "count in whole units, price in Decimal: " + "; ".join(found)


def test_no_column_of_any_table_is_a_float():
    from sqlalchemy import Float, Numeric

    from kilokassa.migrations.tables import metadata

    columns = [column for table in metadata.tables.values() for column in table.columns]
    assert columns
    assert not [str(c) for c in columns if isinstance(c.type, Float | Numeric)]


def _files() -> Iterator[Path]:
    for name in MONEY:
        place = ROOT / name
        for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            if file.relative_to(ROOT).as_posix() not in EXACT:
                yield file


def _floats(file: Path) -> Iterator[str]:
    where = file.relative_to(ROOT).as_posix()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            yield f"{where}:{node.lineno}: the literal {node.value}"
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            if where not in IN_FRACTIONS and not _is_exact(node):
                yield f"{where}:{node.lineno}: true division of {ast.unparse(node)}"
        elif isinstance(node, ast.Name) and node.id in FLOAT_NAMES:
            yield f"{where}:{node.lineno}: {node.id}"
        elif isinstance(node, ast.Attribute) and node.attr in FLOAT_NAMES:
            yield f"{where}:{node.lineno}: {ast.unparse(node)}"


def _is_exact(division: ast.BinOp) -> bool:
    """Say whether a division is one of decimals, or of paths."""
    text = ast.unparse(division)
    return "Decimal(" in text or "files(" in text or "Path(" in text or '"' in text or "'" in text
