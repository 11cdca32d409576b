# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check says when its target cannot show it the object."""


class NotVisible(BaseException):
    """The target cannot answer: the check is skipped with this reason.

    Like pytest's own skip it is no Exception, so that a check's `except Exception` cannot turn
    it into a pass.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
