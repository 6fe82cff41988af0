"""A drawing follows the page as SVG, and has colours of its own as PNG."""

import re

from bertsmith.core.plots import Curve, curves, shades

LOSS = curves(
    [Curve("training", [(0, 7.0), (10, 5.0)], faint=True), Curve("held out", [(0, 6.9), (10, 5.2)])],
    x_label="step",
    y_label="loss",
    floors={"by frequency 6.50": 6.5, "by pairs 5.10": 5.1},
)
HEADS = shades(
    {"before": [[0.0, 1.0], [0.25, 0.0]], "after": [[0.5, 0.0], [0.0, 0.0]]}, x_label="head", y_label="layer"
)


def test_every_level_has_its_line_and_its_name():
    svg = LOSS.svg()
    assert svg.count("stroke-dasharray") == 2
    assert "by frequency 6.50" in svg
    assert "by pairs 5.10" in svg


def test_a_cell_is_as_strong_as_its_value():
    strengths = re.findall(r"fill: var\(--first\)(?:; opacity: ([\d.]+))?\"", HEADS.svg())  # what is 0 is not drawn
    assert sorted(strengths) == ["", "0.25", "0.5"]


def test_an_svg_has_the_colours_of_the_page_and_equal_bytes():
    for drawing in (LOSS, HEADS):
        assert not re.findall(r"#[0-9a-f]{6}", drawing.svg())
        assert "var(--ink)" in drawing.svg()
        assert drawing.svg() == drawing.svg()


def test_a_png_is_a_picture_file(tmp_path):
    HEADS.save_png(tmp_path / "heads.png")
    assert (tmp_path / "heads.png").read_bytes().startswith(b"\x89PNG")
