"""The sentence that makes of a text one with a [MASK]: "{text} It was [MASK]."."""

import re
from dataclasses import dataclass
from typing import Self

from bertsmith.core.errors import ConfigurationError
from bertsmith.text.pieces import MASK

TEXT = "{text}"
_FIELD = re.compile(r"\{\w*\}")


@dataclass(frozen=True)
class Template:
    """What stands before and after the text; with one [MASK] in it, or none if the text brings its own."""

    before: str
    after: str

    @classmethod
    def parse(cls, template: str) -> Self:
        """Read a template. Raises ConfigurationError unless it has {text} once, and [MASK] at most once."""
        fields = _FIELD.findall(template)
        if fields != [TEXT]:
            found = ", ".join(fields) or "no field"
            raise ConfigurationError(
                f"The template '{template}' has {found}, and it is to have {TEXT} once: say '{TEXT} It was {MASK}.'."
            )
        if template.count(MASK) > 1:
            raise ConfigurationError(f"The template '{template}' has {MASK} {template.count(MASK)} times: keep one.")
        return cls(*template.split(TEXT))

    @property
    def has_mask(self) -> bool:
        """Whether the [MASK] is the template's; if not, each text has one."""
        return MASK in self.before + self.after

    def require_mask(self, text: str) -> None:
        """Raise ValueError with the reason unless the template and the text together have one [MASK].

        One in a text whose template has its own is ordinary text.
        """
        count = text.count(MASK)
        if not self.has_mask and count != 1:
            found = f"{count} {MASK}s" if count else f"no {MASK}"
            raise ValueError(f"the text has {found}, and it is to have one")
