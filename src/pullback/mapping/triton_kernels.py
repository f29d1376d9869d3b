"""Fused GPU kernels over all pairs of points: the forward pass of a soft map, nearest neighbours, the largest distance.

Written for Triton 3.1 and later. Coordinates arrive as split rows: every number is a sum ``hi + lo`` of two
half-precision ones, 22 bits together, and a product of matrices is three products on the tensor cores, ``hi hi + hi lo
+ lo hi``, added up in float32. That is the accuracy of split TF32 (two TF32 numbers hold 22 bits as well) at twice its
speed and half its memory.

Logits, ``-|q - r|²/2 = q·r - |q|²/2 - |r|²/2``, are small differences of large numbers where they count, and a sum in
float32, in whatever order, would round them by 1e-4 nats at a blur of 1 %. So the hi part of coordinates is a whole
number, in a unit so small and yet so large that every ``hi hi`` product and every norm, rounded to whole numbers, adds
up exactly below 2^24. What remains of either is small, and joins last; with ``lo lo`` that is a fourth product. The
result is as good as if summed in float64.

Rows are padded to whole tiles and columns to pieces of a power of two, so that no tile needs a mask: a ``main`` piece
and a ``tail`` (130 columns: 128 + 16), or for wide rows several groups of ``main`` columns (see ``pieces``).
"""

from typing import no_type_check

import triton
import triton.language as tl

# Weights of 1 become 2^10, so that half precision resolves weights down to 2^-24 of the largest.
WEIGHT_BITS = tl.constexpr(10.0)
# Columns of a wide row that are multiplied at a time.
CHUNK = tl.constexpr(64)


@triton.jit
@no_type_check  # compiled from its source: a wrapper of the shape checker would hide it, here and below
def split_dot(a_hi, a_lo, b_hi, b_lo, acc):
    """``acc + a @ b`` to the accuracy of float32, small terms first.

    What is left out, lo lo, is 2^-22 of the product.
    """
    acc = tl.dot(a_lo, b_hi, acc)
    acc = tl.dot(a_hi, b_lo, acc)
    return tl.dot(a_hi, b_hi, acc)


@triton.jit
@no_type_check
def split(x):
    """float32 → its two halves."""
    hi = x.to(tl.float16)
    return hi, (x - hi.to(tl.float32)).to(tl.float16)


@triton.jit
@no_type_check
def load_piece(start, plane, width: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Both halves of a block (ROWS, COLUMNS) of split rows from the place of its first entry."""
    place = start + tl.arange(0, ROWS)[:, None] * width + tl.arange(0, COLUMNS)[None, :]
    return tl.load(place), tl.load(place + plane)


@triton.jit
@no_type_check
def rest_dot(a_hi, a_lo, b_hi, b_lo, acc):
    """``acc + a @ b`` without hi hi."""
    acc = tl.dot(a_lo, b_lo, acc)
    acc = tl.dot(a_lo, b_hi, acc)
    return tl.dot(a_hi, b_lo, acc)


@triton.jit
@no_type_check
def wide_dot(a, a_plane, b, b_plane, acc, width: tl.constexpr, A: tl.constexpr, B: tl.constexpr):
    """``acc + a @ b.T`` for A and B split rows that are too wide to be held, a chunk of columns at a time."""
    for column in range(0, width, CHUNK):
        a_hi, a_lo = load_piece(a + column, a_plane, width, A, CHUNK)
        b_hi, b_lo = load_piece(b + column, b_plane, width, B, CHUNK)
        acc = split_dot(a_hi, a_lo, tl.trans(b_hi), tl.trans(b_lo), acc)
    return acc


@triton.jit
@no_type_check
def wide_half_squares(a, a_plane, b, b_plane, acc, width: tl.constexpr, A: tl.constexpr, B: tl.constexpr):
    """``acc + a @ b.T`` for coordinates: all whole numbers first, then the rest."""
    for column in range(0, width, CHUNK):
        a_hi = tl.load(a + column + tl.arange(0, A)[:, None] * width + tl.arange(0, CHUNK)[None, :])
        b_hi = tl.load(b + column + tl.arange(0, B)[:, None] * width + tl.arange(0, CHUNK)[None, :])
        acc = tl.dot(a_hi, tl.trans(b_hi), acc)
    for column in range(0, width, CHUNK):
        a_hi, a_lo = load_piece(a + column, a_plane, width, A, CHUNK)
        b_hi, b_lo = load_piece(b + column, b_plane, width, B, CHUNK)
        acc = rest_dot(a_hi, a_lo, tl.trans(b_hi), tl.trans(b_lo), acc)
    return acc


@triton.jit
@no_type_check
def reaches(x, threshold):
    """Whether a tile has a number in some row that is not below the row's threshold.

    NaN compares false, and counts, to show itself.
    """
    return tl.min((tl.max(x, 1) < threshold).to(tl.int32), 0) == 0


@triton.jit
@no_type_check
def absorb(
    x,
    m,
    total,
    acc_main,
    acc_tail,
    values,
    v_plane,
    c_width: tl.constexpr,
    C_MAIN: tl.constexpr,
    C_TAIL: tl.constexpr,
    BN: tl.constexpr,
):
    """One step of the online softmax: a tile of logits and values joins running maximum, sum and weighted sum."""
    m_new = tl.maximum(m, tl.max(x, 1))
    weights = tl.exp2(x - (m_new - WEIGHT_BITS)[:, None])
    shrink = tl.exp2(m - m_new)
    total = total * shrink + tl.sum(weights, 1)
    w_hi, w_lo = split(weights)
    v_hi, v_lo = load_piece(values, v_plane, c_width, BN, C_MAIN)
    acc_main = split_dot(w_hi, w_lo, v_hi, v_lo, acc_main * shrink[:, None])
    if C_TAIL > 0:
        v_hi, v_lo = load_piece(values + C_MAIN, v_plane, c_width, BN, C_TAIL)
        acc_tail = split_dot(w_hi, w_lo, v_hi, v_lo, acc_tail * shrink[:, None])
    return m_new, total, acc_main, acc_tail


@triton.jit
@no_type_check
def soft_forward(
    query, query_norm, reference, reference_norm, values, unit, out, lse, n2, n1, n2_rows, n1_rows, columns, floor,
    D_MAIN: tl.constexpr, D_TAIL: tl.constexpr, D_GROUPS: tl.constexpr,
    C_MAIN: tl.constexpr, C_TAIL: tl.constexpr, C_GROUPS: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, SKIP: tl.constexpr,
):  # fmt: skip
    """Program (i, g): for BM query rows the weighted means of column group g, and the log-sum-exp of the logits.

    Logits are in units of ln 2. With SKIP, tiles of the reference all of whose weights are below ``floor`` (relative to
    the largest so far, hence to the final one) are left out after their logits: on a sharp map of points in a local
    order, most of them.
    """
    d_width: tl.constexpr = D_MAIN * D_GROUPS + D_TAIL
    c_width: tl.constexpr = C_MAIN * C_GROUPS + C_TAIL
    row = tl.program_id(0) * BM
    group = tl.program_id(1)
    d_plane, r_plane, v_plane = (
        n2_rows.to(tl.int64) * d_width,
        n1_rows.to(tl.int64) * d_width,
        n1_rows.to(tl.int64) * c_width,
    )
    query += row.to(tl.int64) * d_width
    values += group * C_MAIN
    q_norm = tl.load(query_norm + row + tl.arange(0, BM))
    scale = tl.load(unit)
    if D_GROUPS == 1:
        q_hi, q_lo = load_piece(query, d_plane, d_width, BM, D_MAIN)
    if D_TAIL > 0:
        qt_hi, qt_lo = load_piece(query + D_MAIN, d_plane, d_width, BM, D_TAIL)
    m = tl.full([BM], float("-inf"), tl.float32)
    total = tl.zeros([BM], tl.float32)
    acc_main = tl.zeros([BM, C_MAIN], tl.float32)
    acc_tail = tl.zeros([BM, C_TAIL if C_TAIL > 0 else 16], tl.float32)
    for start in range(0, n1, BN):
        x = -(q_norm[:, None] + tl.load(reference_norm + start + tl.arange(0, BN))[None, :])
        if D_GROUPS == 1:
            r_hi, r_lo = load_piece(reference, r_plane, d_width, BN, D_MAIN)
            x = tl.dot(q_hi, tl.trans(r_hi), x)
            if D_TAIL > 0:
                rt_hi, rt_lo = load_piece(reference + D_MAIN, r_plane, d_width, BN, D_TAIL)
                x = tl.dot(qt_hi, tl.trans(rt_hi), x)
                x = rest_dot(qt_hi, qt_lo, tl.trans(rt_hi), tl.trans(rt_lo), x)
            x = rest_dot(q_hi, q_lo, tl.trans(r_hi), tl.trans(r_lo), x)
        else:
            x = wide_half_squares(query, d_plane, reference, r_plane, x, d_width, BM, BN)
        x = (x - tl.load(reference_norm + n1_rows + start + tl.arange(0, BN))[None, :]) * scale
        needed = True
        if SKIP:
            needed = reaches(x, m + floor)
        if needed:
            m, total, acc_main, acc_tail = absorb(
                x, m, total, acc_main, acc_tail, values, v_plane, c_width, C_MAIN, C_TAIL, BN
            )
        reference += BN * d_width
        values += BN * c_width
    rows = row + tl.arange(0, BM)
    if group == 0:
        tl.store(lse + rows, m + tl.log2(total) - WEIGHT_BITS, mask=rows < n2)
    store_rows(out, acc_main / total[:, None], rows, n2, group * C_MAIN, columns, C_MAIN)
    if C_TAIL > 0:
        store_rows(out, acc_tail / total[:, None], rows, n2, C_MAIN, columns, C_TAIL)


@triton.jit
@no_type_check
def store_rows(out, block, rows, n, first_column, columns, COLUMNS: tl.constexpr):
    """Writes a block into a matrix (n, columns), without what is padding."""
    column = first_column + tl.arange(0, COLUMNS)
    place = out + rows.to(tl.int64)[:, None] * columns + column[None, :]
    tl.store(place, block, mask=(rows < n)[:, None] & (column < columns)[None, :])


@triton.jit
@no_type_check
def extreme(
    query, query_norm, reference, reference_norm, found, n2, n1, n2_rows, n1_rows,
    D_MAIN: tl.constexpr, D_TAIL: tl.constexpr, D_GROUPS: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr,
    FARTHEST: tl.constexpr,
):  # fmt: skip
    """For BM query rows the index of the nearest reference row, the first of equal sums.

    Or, FARTHEST, the least ``-|q - r|²/2``.

    The best so far is kept for every column of the tile, and columns are compared once at the end.
    """
    d_width: tl.constexpr = D_MAIN * D_GROUPS + D_TAIL
    row = tl.program_id(0) * BM
    d_plane, r_plane = n2_rows.to(tl.int64) * d_width, n1_rows.to(tl.int64) * d_width
    query += row.to(tl.int64) * d_width
    q_norm = tl.load(query_norm + row + tl.arange(0, BM))
    if D_GROUPS == 1:
        q_hi, q_lo = load_piece(query, d_plane, d_width, BM, D_MAIN)
    if D_TAIL > 0:
        qt_hi, qt_lo = load_piece(query + D_MAIN, d_plane, d_width, BM, D_TAIL)
    best = tl.full([BM, BN], float("inf") if FARTHEST else float("-inf"), tl.float32)
    tile = tl.zeros([BM, BN], tl.int32)
    for start in range(0, n1, BN):
        x = -(q_norm[:, None] + tl.load(reference_norm + start + tl.arange(0, BN))[None, :])
        if D_GROUPS == 1:
            r_hi, r_lo = load_piece(reference, r_plane, d_width, BN, D_MAIN)
            x = tl.dot(q_hi, tl.trans(r_hi), x)
            if D_TAIL > 0:
                rt_hi, rt_lo = load_piece(reference + D_MAIN, r_plane, d_width, BN, D_TAIL)
                x = tl.dot(qt_hi, tl.trans(rt_hi), x)
                x = rest_dot(qt_hi, qt_lo, tl.trans(rt_hi), tl.trans(rt_lo), x)
            x = rest_dot(q_hi, q_lo, tl.trans(r_hi), tl.trans(r_lo), x)
        else:
            x = wide_half_squares(query, d_plane, reference, r_plane, x, d_width, BM, BN)
        x = x - tl.load(reference_norm + n1_rows + start + tl.arange(0, BN))[None, :]
        better = x < best if FARTHEST else x > best  # never of a NaN
        best = tl.where(better, x, best)
        if not FARTHEST:
            tile = tl.where(better, start, tile)
        reference += BN * d_width
    rows = row + tl.arange(0, BM)
    if FARTHEST:
        tl.store(found + rows, tl.min(best, 1), mask=rows < n2)
    else:
        index = tl.where(best == tl.max(best, 1)[:, None], tile + tl.arange(0, BN)[None, :], 2147483647)
        tl.store(found + rows, tl.min(index, 1).to(tl.int64), mask=rows < n2)
