"""Values that an item lacks and that its other values tell: learned from the items that have both.

A category is filled from a text, code or category that determines it (a part's name from its type, a material from the
text without its numbers); a size from the number that a text repeats. Where it is a value that most of such items
lack, lacking it means something and stays. Routings and times play no part.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from shared.erp.canonical import Attribute, AttributeKind
from shared.features.distinct import NUMBER_KINDS, Column, Distinct, Ints, distinct_column, sample_places
from shared.features.texts import MAX_ENCODED_CHARACTERS, canonical_text, numbers_in, scale_number, without_numbers

SAMPLE_ITEMS = 10_000
_LEAST_ITEMS = 30  # that must have both values before a rule is believed
_LEAST_TOGETHER = 3  # items that must show what one value says
_LEAST_AGREEMENT = 0.95  # of a rule, each item judged by the others
_MOST_TEXTS = 3_000  # a target of more distinct values is no category
_LEAST_REPEATED = 10  # items to each distinct value of a source, on the average: else it names the single item
_POSITIONS = (0, 1, -1)  # first, second and last number of a text
_NEAR_SHARE, _NEAR_LEAST = 0.02, 0.5  # a repeated size may be rounded

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How one attribute tells another: by what `known` says of its text, or by the number at `position` in it."""

    target: str
    source: str
    bare: bool  # of the source's text, its numbers are left out first
    known: Mapping[str, str]
    position: int | None  # of the number that the text repeats

    def told(self, text: str | None) -> str | float | None:
        """Return what a canonical text tells of the target, or None."""
        return self.told_text(text) if self.position is None else self.told_number(text)

    def told_text(self, text: str | None) -> str | None:
        """Return the category that a canonical text tells, or None."""
        if text is None:
            return None
        return self.known.get(without_numbers(text) if self.bare else text)

    def told_number(self, text: str | None) -> float | None:
        """Return the size that a canonical text repeats, or None."""
        if text is None or self.position is None:
            return None
        numbers = numbers_in(text)
        return numbers[self.position] if -len(numbers) <= self.position < len(numbers) else None

    def state(self) -> dict[str, Any]:
        """Return the rule as plain values."""
        return {
            "target": self.target, "source": self.source, "bare": self.bare, "position": self.position,
            "texts": list(self.known), "told": list(self.known.values()),
        }  # fmt: skip


class Filling:
    """Completes items' values by the rules it learned; what no rule tells stays missing."""

    def __init__(self, kinds: Mapping[str, AttributeKind], rules: Sequence[Rule]) -> None:
        """Put rules in force, the first that tells something counts."""
        self.kinds = dict(kinds)
        self.rules = tuple(rules)
        targets = dict.fromkeys(rule.target for rule in self.rules)
        self._by_target = [(name, [rule for rule in self.rules if rule.target == name]) for name in targets]

    @classmethod
    def fit(cls, attributes: Sequence[Attribute], columns: Mapping[str, Column]) -> Self:
        """Learn from columns of equal length (of many items, from a sample spread evenly)."""
        used = [a for a in attributes if a.weight > 0 and not a.drawing]
        items = len(columns[used[0].name]) if used else 0
        rows = sample_places(items, SAMPLE_ITEMS)
        sample = {a.name: distinct_column(a.kind, columns[a.name]).take(rows) for a in used}
        texts = {a.name: sample[a.name] for a in used if a.kind not in NUMBER_KINDS}
        sources = _sources(texts)
        rules: list[Rule] = []
        for a in used:
            if a.kind in NUMBER_KINDS:
                rules += _number_rules(a.name, sample[a.name], texts) if a.kind is AttributeKind.NUMERIC else []
            elif a.kind is not AttributeKind.TEXT:
                rules += _text_rules(a.name, sample[a.name], sources)
        return cls({a.name: a.kind for a in attributes}, rules)

    def fill(self, columns: Mapping[str, Column]) -> dict[str, Distinct]:
        """Return the columns with what is told filled in."""
        given = {name: distinct_column(kind, columns[name]) for name, kind in self.kinds.items() if name in columns}
        filled = dict(given)
        for rule in self.rules:
            if rule.target in given and rule.source in given:
                filled[rule.target] = _filled(filled[rule.target], given[rule.source], rule)
        return filled

    def fill_one(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return an item's values with what is told filled in."""
        filled: dict[str, Any] = {}
        for target, rules in self._by_target:
            if not _is_missing(self.kinds[target], values.get(target)):
                continue
            for rule in rules:
                if (told := rule.told(canonical_text(values.get(rule.source)))) is not None:
                    filled[target] = told
                    break
        return {**values, **filled} if filled else values

    def state(self) -> dict[str, Any]:
        """Return everything learned as plain values."""
        return {
            "kinds": {name: kind.value for name, kind in self.kinds.items()},
            "rules": [rule.state() for rule in self.rules],
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild from `state()`."""
        rules = [
            Rule(
                target=rule["target"], source=rule["source"], bare=bool(rule["bare"]), position=rule["position"],
                known=dict(zip(rule["texts"], rule["told"], strict=True)),
            )
            for rule in state["rules"]
        ]  # fmt: skip
        return cls({name: AttributeKind(kind) for name, kind in state["kinds"].items()}, rules)


def _is_missing(kind: AttributeKind, value: Any) -> bool:
    if type(value) is str and kind not in NUMBER_KINDS:
        return not value[:MAX_ENCODED_CHARACTERS].strip()  # as `canonical_text` sees it, without making the text
    return (scale_number(value) if kind in NUMBER_KINDS else canonical_text(value)) is None


def _filled(target: Distinct, source: Distinct, rule: Rule) -> Distinct:
    if isinstance(target.values, np.ndarray):
        numbers = np.array(
            [np.nan if (told := rule.told_number(text)) is None else told for text in source.texts_only()]
        )
        own = target.values[target.places]
        filled = np.where(np.isnan(own), numbers[source.places], own)
        return Distinct(values=filled, places=np.arange(len(filled), dtype=np.int64))
    known = {text: place for place, text in enumerate(target.values)}
    if None not in known:
        return target
    told_texts = [rule.told_text(text) for text in source.texts_only()]
    of_source = np.array([known.setdefault(text, len(known)) for text in told_texts], dtype=np.int64)
    places = np.where(target.places == known[None], of_source[source.places], target.places)
    return Distinct(values=list(known), places=places)


def _codes(column: Distinct) -> tuple[list[str], Ints]:
    """Return a column's texts and each item's place among them, -1 where it is missing."""
    texts = [text for text in column.values if text is not None]
    place_of = {text: place for place, text in enumerate(texts)}
    own = np.array([-1 if text is None else place_of[text] for text in column.values], dtype=np.int64)
    return texts, own[column.places] if len(own) else np.zeros(0, dtype=np.int64)


def _sources(texts: Mapping[str, Distinct]) -> list[tuple[str, bool, list[str], Ints]]:
    """Return what may tell something: every text as it is, and without its numbers where that makes a difference."""
    sources = []
    for name, column in texts.items():
        values, codes = _codes(column)
        most = int((codes >= 0).sum()) // _LEAST_REPEATED
        if 1 < len(values) <= most:
            sources.append((name, False, values, codes))
        bare = Distinct(
            values=[None if text is None else without_numbers(text) for text in column.values], places=column.places
        )
        bare_values = list(dict.fromkeys(text for text in bare.values if text is not None))
        if 1 < len(bare_values) <= most and len(bare_values) < len(values):
            place_of = {text: place for place, text in enumerate(bare_values)}
            own = np.array([-1 if text is None else place_of[text] for text in bare.values], dtype=np.int64)
            sources.append((name, True, bare_values, own[column.places]))
    return sources


def _text_rules(target: str, column: Distinct, sources: Sequence[tuple[str, bool, list[str], Ints]]) -> list[Rule]:
    values, codes = _codes(column)
    missing = codes < 0
    if not missing.any() or not 1 < len(values) <= _MOST_TEXTS:
        return []
    usual = float(np.bincount(codes[~missing]).max()) / float((~missing).sum())
    found: list[tuple[float, Rule]] = []
    for source, bare, texts, own in sources:
        if source == target or not (missing & (own >= 0)).any():
            continue
        agreement, known = _determined(own, len(texts), codes, len(values))
        if agreement >= max(_LEAST_AGREEMENT, (1 + usual) / 2) and known:
            says = {texts[at]: values[value] for at, value in known.items()}
            found.append((agreement, Rule(target=target, source=source, bare=bare, known=says, position=None)))
    return [rule for _, rule in sorted(found, key=lambda pair: (-pair[0], pair[1].source, pair[1].bare))]


def _determined(source: Ints, texts: int, target: Ints, values: int) -> tuple[float, dict[int, int]]:
    """Return how often a source's value tells the target's (each item by the others), and which value tells which."""
    both = (source >= 0) & (target >= 0)
    if int(both.sum()) < _LEAST_ITEMS:
        return 0.0, {}
    pairs, counts = np.unique(source[both] * values + target[both], return_counts=True)
    having, value = pairs // values, pairs % values
    order = np.lexsort((value, -counts, having))
    first = order[np.unique(having[order], return_index=True)[1]]
    known = np.bincount(source[both], minlength=texts)[having[first]]
    all_items = np.bincount(source[source >= 0], minlength=texts)[having[first]]
    agreement = float((counts[first] - 1).sum()) / max(float((known - 1).sum()), 1.0)
    good = (known >= _LEAST_TOGETHER) & (counts[first] >= _LEAST_AGREEMENT * known) & (2 * known >= all_items)
    return agreement, dict(zip(having[first][good].tolist(), value[first][good].tolist(), strict=True))


def _number_rules(target: str, column: Distinct, texts: Mapping[str, Distinct]) -> list[Rule]:
    own = np.asarray(column.values, dtype=np.float64)[column.places]
    if not np.isnan(own).any():
        return []
    found: list[tuple[float, Rule]] = []
    for source, text_column in texts.items():
        numbers = [[] if text is None else numbers_in(text) for text in text_column.values]
        for position in _POSITIONS:
            said = [each[position] if -len(each) <= position < len(each) else np.nan for each in numbers]
            agreement = _repeats(np.array(said, dtype=np.float64)[text_column.places], own)
            if agreement >= _LEAST_AGREEMENT:
                rule = Rule(target=target, source=source, bare=False, known={}, position=position)
                found.append((agreement, rule))
    return [rule for _, rule in sorted(found, key=lambda pair: (-pair[0], pair[1].source, pair[1].position or 0))]


def _repeats(said: Floats, own: Floats) -> float:
    """Return how often a said size is the item's own, 0 where few say one or where one size would do as well."""
    both = np.isfinite(said) & np.isfinite(own)
    if int(both.sum()) < _LEAST_ITEMS:
        return 0.0
    near = np.maximum(_NEAR_SHARE * np.abs(own[both]), _NEAR_LEAST)
    agreement = float((np.abs(said[both] - own[both]) <= near).mean())
    usual = float((np.abs(np.median(own[both]) - own[both]) <= near).mean())
    return agreement if agreement >= (1 + usual) / 2 else 0.0
