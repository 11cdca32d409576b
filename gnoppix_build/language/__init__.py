# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML text to trees with places, and trees to typed values."""

from gnoppix_build.language.decode import Decoded, decode
from gnoppix_build.language.node import Document, Entry, Leaf, Listing, Node, Table
from gnoppix_build.language.parse import parse
from gnoppix_build.language.source import SourceReader, Unreadable, read_document

__all__ = [
    "Decoded",
    "Document",
    "Entry",
    "Leaf",
    "Listing",
    "Node",
    "SourceReader",
    "Table",
    "Unreadable",
    "decode",
    "parse",
    "read_document",
]
