"""Stage 4: values merged or dropped by rule, variants merged, and values too rare to learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gingham.curation.config import ValuesSection
from gingham.curation.table import Records, Stage, TableRows
from gingham.errors import InputError
from gingham.formats.content import heading
from gingham.names import did_you_mean, variants

COLUMNS = ("row", "image", "action", "attribute", "before", "after", "reason")


@dataclass(frozen=True)
class Rule:
    """`ATTRIBUTE: OLD -> NEW`; without NEW the value is dropped: its images become unknown."""

    attribute: str
    old: str
    new: str

    @classmethod
    def parse(cls, text: str) -> Rule:
        """Read one rule; `InputError` if it is not written so."""
        attribute, colon, rest = text.partition(":")
        old, arrow, new = rest.partition("->")
        if not colon or not arrow or not attribute.strip() or not old.strip():
            raise InputError(
                f"rule {text!r}: expected 'ATTRIBUTE: OLD -> NEW', or 'ATTRIBUTE: OLD ->' to drop"
            )
        return cls(heading(attribute), old.strip(), new.strip())

    def __str__(self) -> str:
        return f"{self.attribute}: {self.old} -> {self.new}".rstrip()


def parse_rules(texts: Sequence[str], attributes: Sequence[str]) -> list[Rule]:
    """Read rules, and check that their attributes are there.

    Raises
    ------
    InputError
        If a rule is not understood or names no attribute of the table.
    """
    rules = [Rule.parse(text) for text in texts]
    for rule in rules:
        if rule.attribute not in attributes:
            raise InputError(
                f"rule {str(rule)!r}: unknown attribute {rule.attribute!r}; known: "
                + ", ".join(attributes)
                + did_you_mean(rule.attribute, attributes)
            )
    return rules


def settle_values(samples: TableRows, section: ValuesSection) -> Stage:
    """Apply the rules in order (see `parse_rules` for errors), merge variants, drop rare values.

    Variants differ only in case, spaces or Unicode form; they become the most frequent of them.

    An image whose value is dropped becomes unknown in that attribute; for kind multi only the value
    goes.
    """
    records: Records = []
    matched: dict[str, int] = {}
    for rule in parse_rules(section.rules, list(samples.values)):
        matched[str(rule)] = _replace(samples, rule, f"rule {rule}", records)
    merged: dict[str, dict[str, str]] = {}
    for name in samples.values if section.merge_variants else ():
        for old, new in variants(samples.counts(name)).items():
            merged.setdefault(name, {})[old] = new
            _replace(samples, Rule(name, old, new), f"a variant of {new}", records)
    rare: dict[str, dict[str, int]] = {}
    for name in samples.values:
        for value, count in sorted(samples.counts(name).items()):
            if count < section.min_count:
                rare.setdefault(name, {})[value] = count
                reason = f"{count} images, fewer than {section.min_count}"
                _replace(samples, Rule(name, value, ""), reason, records)
    changed = {(record["row"], record["attribute"]) for record in records}
    summary = {"changed": len(changed), "rules": matched, "merged": merged, "too_rare": rare}
    return Stage("values", records, summary)


def _replace(samples: TableRows, rule: Rule, reason: str, records: Records) -> int:
    column = samples.values[rule.attribute]
    rows = [row for row in samples.rows if rule.old in (column[row] or ())]
    for row in rows:
        left = set(column[row] or ()) - {rule.old}
        column[row] = tuple(sorted(left | ({rule.new} if rule.new else set()))) or None
        change = {"before": rule.old, "after": rule.new or "unknown", "reason": reason}
        records.append(samples.line(row, "changed", attribute=rule.attribute, **change))
    return len(rows)
