"""The declarative base: constraint names, the types of annotated columns."""

from datetime import date, datetime
from enum import Enum
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Date, Integer, LargeBinary, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase

from kilokassa.db.types import UtcDateTime

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

BigId = BigInteger().with_variant(Integer, "sqlite")
"""A 64-bit key; on SQLite `INTEGER`, without which a key is not numbered by itself."""


class Base(DeclarativeBase):
    """What every table of the product derives from."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        int: BigId,
        str: String(),
        date: Date(),
        datetime: UtcDateTime(),
        bytes: LargeBinary(),
        Enum: String(),
    }


__all__ = ["Base", "BigId", "Text"]
