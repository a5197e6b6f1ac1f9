"""Every diagnostic code of the spec language, with its severity, exit code and explain page.

The numbers are the contract; the names are for the code base. `prerl-spec explain CODE` prints the page of a code.
"""

from enum import StrEnum
from typing import Literal

Severity = Literal["error", "warning"]

_SPEC = 1
_ENVIRONMENT = 3
_DRIFT = 4
_NOT_AN_ERROR = 0


class Code(StrEnum):
    """A diagnostic code: its number as a string (`Code.UNKNOWN_COMPONENT == "E0301"`), its meaning and its exit code.

    Example: `Code.UNKNOWN_COMPONENT.severity` is "error", its `exit_code` 1, its `meaning` "unknown component".
    """

    meaning: str
    """The title of its page."""
    exit_code: int
    """1 for an error in the spec, 3 for an unmet environment, 4 for lock drift, 0 for a warning."""

    # The defaults are for type checkers, which read the look-up `Code("E0301")` as a call of this constructor.
    def __new__(cls, number: str, meaning: str = "", exit_code: int = _NOT_AN_ERROR) -> "Code":
        code = str.__new__(cls, number)
        code._value_ = number
        code.meaning = meaning
        code.exit_code = exit_code
        return code

    @property
    def severity(self) -> Severity:
        return "warning" if self.startswith("W") else "error"

    @property
    def page(self) -> str:
        """The file name of its explain page, without the folder."""
        return f"{self}.md"

    TOML_SYNTAX = "E0101", "TOML syntax", _SPEC
    DUPLICATE_KEY = "E0102", "duplicate key", _SPEC
    DUPLICATE_TABLE = "E0103", "table defined twice", _SPEC
    UNCLOSED = "E0104", "string or bracket not closed", _SPEC
    NULL_VALUE = "E0105", "null or None written", _SPEC
    MALFORMED_NUMBER = "E0106", "malformed number", _SPEC
    NOT_UTF8 = "E0107", "not UTF-8", _SPEC

    WRONG_TYPE = "E0201", "wrong type", _SPEC
    CONSTRAINT_BROKEN = "E0202", "constraint broken", _SPEC
    UNKNOWN_KEY = "E0203", "unknown key or table", _SPEC
    MISSING_KEY = "E0204", "missing key or table", _SPEC
    RENAMED = "E0205", "a setting, component or task was renamed", _SPEC
    REMOVED = "E0206", "setting was removed", _SPEC
    NOT_A_CHOICE = "E0207", "not one of the choices", _SPEC
    TABLE_OR_LIST = "E0208", "table where a list of tables belongs, or the reverse", _SPEC
    DUPLICATE_PHASE_ID = "E0209", "duplicate phase id", _SPEC
    LANGUAGE_VERSION = "E0210", "language version not understood", _SPEC

    UNKNOWN_COMPONENT = "E0301", "unknown component", _SPEC
    AMBIGUOUS_COMPONENT = "E0302", "two distributions provide the name", _SPEC
    WRONG_KIND = "E0303", "component of another kind", _SPEC
    PLUGIN_IMPORT_FAILED = "E0304", "plugin fails to import", _ENVIRONMENT
    PLUGIN_DECLARATION = "E0305", "declaration at odds with its entry point", _ENVIRONMENT
    PLUGIN_API = "E0306", "written for another component API", _ENVIRONMENT
    BEHAVIOUR_VERSION = "E0307", "behaviour version not available", _SPEC
    MALFORMED_COMPONENT = "E0308", "malformed reference", _SPEC
    NO_SUCH_SLOT = "E0309", "no such slot", _SPEC

    EXTENDS = "E0401", "`extends` missing, cyclic, unreadable", _SPEC
    SET_VALUE = "E0402", "`--set` value is not TOML", _SPEC
    OVERRIDE_PATH = "E0403", "`--set` or `--unset` path unknown", _SPEC
    RESERVED = "E0404", "reserved", _SPEC
    REFERENCE = "E0405", "reference undefined or cyclic", _SPEC
    ENVIRONMENT_VARIABLE = "E0406", "environment variable not set", _SPEC
    MISPLACED_SECRET = "E0407", "secret where none is allowed", _SPEC
    UNSET_NOT_INHERITED = "E0408", "`unset` names nothing inherited", _SPEC

    LOCK_DRIFT = "E0501", "lock and installation differ", _DRIFT
    REQUIRED_VERSION = "E0502", "`[requires]` version not met", _ENVIRONMENT
    NOT_INSTALLED = "E0503", "`[requires]` distribution not installed", _ENVIRONMENT

    UNMET_REQUIREMENT = "E0601", "a requirement nothing provides", _SPEC
    PHASE_CYCLE = "E0602", "phases in a cycle", _SPEC
    AMBIGUOUS_PROVIDER = "E0603", "two providers, ambiguous", _SPEC
    UNKNOWN_PHASE_OR_DATA = "E0604", "unknown phase or data set", _SPEC

    CONTRADICTION = "E0701", "settings that contradict each other", _SPEC

    FOREIGN_BARE_NAME = "W0302", "a foreign bare name is ignored", _NOT_AN_ERROR
    DEPRECATED = "W0310", "deprecated", _NOT_AN_ERROR
    EXPOSED_SECRET = "W0406", "looks like a secret", _NOT_AN_ERROR
    UNUSED = "W0701", "declared but never used", _NOT_AN_ERROR
    NO_EFFECT = "W0702", "a setting without effect", _NOT_AN_ERROR
