# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person writes: the profile."""

from gnoppix_build.profile.model import Profile
from gnoppix_build.profile.new import new_profile_text

__all__ = ["Profile", "new_profile_text"]
