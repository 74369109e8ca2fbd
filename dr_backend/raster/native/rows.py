"""A triangle on the screen: which pixels of each row it covers, and how near it is there.

C++ as in ``lookup``. The same operations in the same order as in ``raster.rasterize``: thus both see the same face in each pixel.
"""

from __future__ import annotations

from .screen import SCREEN

# Index of the first pixel whose centre lies at or after a position, kept within 0..size.
FIRST_CENTRE = """
const auto first_centre = [](float value, float size) {
    float centre = value - 0.5f;
    centre = centre > 0.0f ? (centre < size ? centre : size) : 0.0f;  // 0 for what is no number
    const int index = (int)centre;  // rounds down; a call of ceil would cost more than all the rest
    return (float)index < centre ? index + 1 : index;
};
"""


# A row meets an edge if its centre lies in [lower y, upper y), and the crossing is computed from the lower to the upper end: no pixel
# beside a shared edge is left out, and none counted twice. All rows meet one edge; the two others take turns where the triangle bends.
ROWS = SCREEN + FIRST_CENTRE + """
struct Shape { float top_x, top_y, bend_x, bend_y, low_y, whole, upper, lower; };  // the last three in pixels to the right per row
const auto shape_of = [](const Corner& a, const Corner& b, const Corner& c) {
    const bool second = b.y < a.y;
    const float px = second ? b.x : a.x, py = second ? b.y : a.y, qx = second ? a.x : b.x, qy = second ? a.y : b.y;
    const bool first = c.y < py, between = !first && c.y < qy;
    const float top_x = first ? c.x : px, top_y = first ? c.y : py;
    const float low_x = first || between ? qx : c.x, low_y = first || between ? qy : c.y;
    const float bend_x = first ? px : (between ? c.x : qx), bend_y = first ? py : (between ? c.y : qy);
    const float rise = low_y - top_y, above = bend_y - top_y, under = low_y - bend_y;
    return Shape{
        top_x, top_y, bend_x, bend_y, low_y, (low_x - top_x) / (rise > 0.0f ? rise : 1.0f),
        (bend_x - top_x) / (above > 0.0f ? above : 1.0f), (low_x - bend_x) / (under > 0.0f ? under : 1.0f),
    };
};
struct Row { float left, right; };
const auto row_of = [](const Shape& shape, float y) {
    const float below = y - shape.top_y, one = shape.top_x + below * shape.whole, above = shape.top_x + below * shape.upper;
    const float under = shape.bend_x + (y - shape.bend_y) * shape.lower, other = y < shape.bend_y ? above : under;
    return Row{one < other ? one : other, one < other ? other : one};
};
struct Plane { float x, y, nearness, slope_x, slope_y, low, high; };  // a point, slopes per pixel, and the range of the corners
const auto plane_of = [](const Corner& a, const Corner& b, const Corner& c) {
    const float ux = b.x - a.x, uy = b.y - a.y, vx = c.x - a.x, vy = c.y - a.y, area = ux * vy - uy * vx;
    const float du = b.nearness - a.nearness, dv = c.nearness - a.nearness, inverse = area != 0.0f ? 1.0f / area : 0.0f;
    const float least = a.nearness < b.nearness ? a.nearness : b.nearness, most = a.nearness > b.nearness ? a.nearness : b.nearness;
    return Plane{
        a.x, a.y, a.nearness, (du * vy - dv * uy) * inverse, (dv * ux - du * vx) * inverse,
        least < c.nearness ? least : c.nearness, most > c.nearness ? most : c.nearness,
    };
};
const auto nearness_at = [](const Plane& plane, float x, float y) {  // unbounded: for the first pixel of a row
    return (plane.nearness + plane.slope_y * (y - plane.y)) + plane.slope_x * (x - plane.x);
};
const auto nearness_after = [](const Plane& plane, float at_first, int pixels) {
    const float reached = at_first + plane.slope_x * (float)pixels;
    return reached < plane.low ? plane.low : (reached > plane.high ? plane.high : reached);
};
"""
