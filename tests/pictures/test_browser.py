"""In a real browser every text is inside of its box, and nothing that is drawn leaves the picture."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from events.choreographies.order_fulfilment import OrderFulfilment
from sagas.graph.drawing import Format, View, drawn, graph_of
from tests.pictures.browser import evaluated
from tests.pictures.samples import SAMPLES

pytestmark = pytest.mark.slow

DEFINITIONS = {**SAMPLES, "order": OrderFulfilment.definition}

OUTSIDE = """
const found = [], inside = (one, other) => one.left >= other.left - 1 && one.right <= other.right + 1
    && one.top >= other.top - 1 && one.bottom <= other.bottom + 1;
const fonts = ['sans-serif', 'Verdana, DejaVu Sans', 'Arial, Liberation Sans', 'serif'];
for (const font of fonts) for (const svg of document.querySelectorAll('svg')) {
  const paper = svg.getBoundingClientRect(), name = svg.parentElement.id;
  const seen = svg.querySelectorAll('text');
  for (const text of seen) text.style.fontFamily = font;
  for (const text of seen) if (!inside(text.getBoundingClientRect(), paper))
    found.push([name, font, 'off the paper', text.textContent]);
  for (const node of svg.querySelectorAll('g.node')) {
    const box = node.querySelector('rect').getBoundingClientRect();
    for (const text of node.querySelectorAll('text')) if (!inside(text.getBoundingClientRect(), box))
      found.push([name, font, 'out of its box', text.textContent]);
  }
  const boxes = [...svg.querySelectorAll('g.node rect')].map(one => one.getBoundingClientRect());
  for (const path of svg.querySelectorAll('path.arrow')) {
    const length = path.getTotalLength(), place = path.getScreenCTM();
    for (let at = 3; at < length - 3; at += 4) {
      const point = path.getPointAtLength(at).matrixTransform(place);
      if (boxes.some(box => point.x > box.left + 1 && point.x < box.right - 1
          && point.y > box.top + 1 && point.y < box.bottom - 1)) {
        found.push([name, font, 'an arrow crosses a box', path.getAttribute('d')]);
        break;
      }
    }
  }
}
return {found, pictures: document.querySelectorAll('svg').length,
        texts: document.querySelectorAll('svg text').length};
"""


def test_text_is_in_its_box_and_arrows_go_round_boxes(tmp_path: Path) -> None:
    pictures = [
        f'<div id="{name}-{view}">{drawn(graph_of(definition, view), Format.SVG)}</div>'
        for (name, definition), view in product(DEFINITIONS.items(), View)
    ]
    seen = evaluated(tmp_path, "".join(pictures), OUTSIDE)
    assert seen["found"] == []
    assert seen["pictures"] == len(DEFINITIONS) * len(View)
    assert seen["texts"] > 1000


def test_the_judge_sees_text_that_is_too_wide(tmp_path: Path) -> None:
    picture = drawn(graph_of(OrderFulfilment.definition, View.CHOREOGRAPHY), Format.SVG)
    wide = picture.replace(">StockUnavailable</text>", f">{'StockUnavailable' * 3}</text>")
    seen = evaluated(tmp_path, f"<div>{wide}</div>", OUTSIDE)
    assert {kind for _, _, kind, _ in seen["found"]} == {"out of its box"}
