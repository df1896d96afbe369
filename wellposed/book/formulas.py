"""Formulas: LaTeX to MathML, which browsers set without a script. A formula that is not understood is refused."""

from functools import cache

from wellposed.errors import UserError

_PRIMES = "′″‴⁗"
_MACROS = {"argmax": r"\operatorname*{arg\,max}", "argmin": r"\operatorname*{arg\,min}"}


def mathml(tex: str, display: bool) -> str:
    """A formula as a MathML element.

    Args:
        tex: LaTeX without its dollar signs.
        display: on lines of its own, with limits above and below sums.

    Raises:
        UserError: if a command or an environment is not known, or something is not closed.
    """
    from math_core import LatexError  # here: only the book needs it, which is an extra

    if not tex.strip():
        raise UserError("A formula is empty.")
    if not display and tex != tex.strip():
        raise UserError(
            f"The formula ${_short(tex)}$ begins or ends with a space: either a dollar sign is missing near it, or it is "
            "to be written without the space."
        )
    try:
        text = _converter().convert_with_local_state(tex.strip(), displaystyle=display)
    except LatexError as error:
        raise UserError(f"The formula {_short(tex)!r} cannot be set: {_reason(error)}.") from error
    for prime in _PRIMES:  # the style sheet lowers them: the font raises them once more than the browser does
        text = text.replace(f"<mo>{prime}</mo>", f'<mo class="wp-prime">{prime}</mo>')
    return text


@cache
def _converter():
    from math_core import LatexToMathML

    return LatexToMathML(fancy_error=False, macros=_MACROS)


def _reason(error: Exception) -> str:
    """What the converter says, without the position, which counts bytes."""
    _, _, reason = str(error).partition(": ")
    return (reason or str(error)).strip().rstrip(".")


def _short(tex: str) -> str:
    text = " ".join(tex.split())
    return text if len(text) <= 60 else f"{text[:57]}..."
