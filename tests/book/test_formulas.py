"""Formulas become MathML, and what cannot be set is refused rather than shown wrongly."""

from xml.etree import ElementTree

import pytest

from course.book.pages import mathml
from wellposed.errors import UserError

SOUND = [
    r"\frac{1}{n}\sum_{i=1}^{n} x_i^2",
    r"\hat{A}_t=\sum_{l=0}^{T-t-1}(\gamma\lambda)^l\delta_{t+l}",
    r"\mathbb{E}_{s,a\sim\mathcal{D}}\left[\left(Q_{\bar\theta}(s',a')-y\right)^2\right]",
    r"\begin{aligned}J(\pi)&=\mathbb{E}[r]\\&=\int p(s)\,\mathrm{d}s\end{aligned}",
    r"r=\begin{cases}0&\text{if }\lVert g'-g\rVert\le\varepsilon\\-1&\text{otherwise}\end{cases}",
    r"\operatorname{clip}(\rho_t,1-\epsilon,1+\epsilon)",
    r"\operatorname*{arg\,max}_a Q(s,a),\ \argmin_x f(x)",
    r"\operatorname{KL}\big(p\,\|\,q\big)\qquad\sqrt{\frac{p(1-p)}{n}}\quad\binom{n}{k}",
    r"\max_{a'\in\mathcal{A}}\tilde{x}\,\overline{xyz}\,\widehat{a}\,\dot{x}\,\vec{v}",
    r"\left\{x\;\middle|\;x>0\right\}\to\mathbb{R}^{25},\ \ldots,\ \cdots",
    r"A^\top=\begin{pmatrix}1&0\\0&1\end{pmatrix},\quad x\propto y\approx z\ne w",
]


@pytest.mark.parametrize("tex", SOUND)
@pytest.mark.parametrize("display", [False, True])
def test_a_formula_becomes_mathml_with_nothing_of_the_latex_left(tex, display):
    html = mathml(tex, display).replace("&ApplyFunction;", "")
    found = ElementTree.fromstring(html)
    assert found.tag == "math"
    assert (found.get("display") == "block") == display
    assert "\\" not in html


def test_what_stands_where():
    fraction = ElementTree.fromstring(mathml(r"\frac{a}{b+1}", False)).find("mfrac")
    assert fraction is not None
    assert ["".join(part.itertext()) for part in fraction] == ["a", "b+1"]
    both = ElementTree.fromstring(mathml(r"\sum_{i=1}^n x", True)).find(".//munderover")
    assert both is not None
    assert ["".join(part.itertext()) for part in both] == ["∑", "i=1", "n"]
    table = ElementTree.fromstring(mathml(r"\begin{aligned}a&=b\\c&=d\end{aligned}", True))
    assert [["".join(cell.itertext()) for cell in row] for row in table.iter("mtr")] == [["a", "=b"], ["c", "=d"]]


@pytest.mark.parametrize(
    "tex",
    [
        r"\foo{x}",
        r"\left( x",
        r"\frac{a}{b",
        "x_{",
        "}x",
        "x^2^3",
        r"\begin{foo}x\end{foo}",
        r"\end{aligned}",
        " x",
        "x ",
        " ",
    ],
)
def test_a_formula_that_is_not_understood_is_refused(tex):
    with pytest.raises(UserError):
        mathml(tex, False)


def test_the_refusal_says_what_is_wrong():
    with pytest.raises(UserError, match=r"'\\\\foo\{x\}' cannot be set: Unknown command"):
        mathml(r"\foo{x}", True)
