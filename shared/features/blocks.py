"""One attribute's share of an item's vector: how a value becomes numbers, by its kind.

Every block answers `vector(value)` with a float32 array of `size` numbers of unit length: its dot product with
another value's array is their similarity, 1 for equal values and about 0 for unrelated ones. A missing value is a
value of its own (the first number is its flag). A value of which nothing was seen when the block was fitted is all
zeros: it is near to nothing. `encode(column)` gives the same for every distinct value of a column. Serving needs only
numpy and dictionaries; scikit-learn is imported while fitting text.
"""

from typing import Any

import numpy as np

from shared.features.category_block import CategoryBlock
from shared.features.code_block import CodeBlock
from shared.features.parts import Vector
from shared.features.scale_block import ScaleBlock
from shared.features.text_block import TextBlock

Block = CategoryBlock | CodeBlock | TextBlock | ScaleBlock


def block_from_state(state: dict[str, Any]) -> Block:
    """Rebuild a block from `state()`."""
    values = {key: value for key, value in state.items() if key != "kind"}
    match state["kind"]:
        case CategoryBlock.kind:
            return CategoryBlock(**values)
        case CodeBlock.kind:
            return CodeBlock(**{**values, "known": np.asarray(values["known"], dtype=np.uint64)})
        case TextBlock.kind:
            return TextBlock(**values)
        case ScaleBlock.kind:
            return ScaleBlock(**values)
    raise ValueError(f"There is no block of kind {state['kind']!r}.")


__all__ = ["Block", "CategoryBlock", "CodeBlock", "ScaleBlock", "TextBlock", "Vector", "block_from_state"]
