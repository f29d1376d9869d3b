"""Fused GPU kernels for the gradients of a soft map: two kernels without atomics recompute the weights.

Notation: P the weights, G the gradient of the result, V the values, D_i = Σ_c G_ic (P V)_ic. The gradient of the logits
is ``dS_ij = P_ij (Σ_c G_ic V_jc - D_i)``, and that of a logit ``-|q - r|²/2`` is ``r - q`` for the query and ``q - r``
for the reference. Rows of G are scaled by their sums of magnitudes, and columns of V to [-1, 1], so that everything
fits half precision (triton_kernels).
"""

from typing import no_type_check

import triton
import triton.language as tl

from pullback.mapping.triton_kernels import (
    load_piece,
    reaches,
    rest_dot,
    split,
    split_dot,
    store_rows,
    wide_dot,
    wide_half_squares,
)

# Both factors of G Vᵀ are times a power of two (VALUE_BITS in softmap_triton), which is taken away here.
PRODUCT_SCALE = tl.constexpr(2.0**-24)


@triton.jit
@no_type_check
def grad_query(
    query, query_norm, reference, reference_norm, values, grad_out, unit, lse, delta, factor, out,
    n2, n1, n2_rows, n1_rows, columns, floor,
    D_MAIN: tl.constexpr, D_TAIL: tl.constexpr, D_GROUPS: tl.constexpr,
    C_MAIN: tl.constexpr, C_TAIL: tl.constexpr, C_GROUPS: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, SKIP: tl.constexpr,
):  # fmt: skip
    """Program (i, g): ``factor_i Σ_j dS_ij (r_j - q_i)`` in column group g of the embedding for BM query rows."""
    d_width: tl.constexpr = D_MAIN * D_GROUPS + D_TAIL
    c_width: tl.constexpr = C_MAIN * C_GROUPS + C_TAIL
    row = tl.program_id(0) * BM
    group = tl.program_id(1)
    rows = row + tl.arange(0, BM)
    q_plane, r_plane = n2_rows.to(tl.int64) * d_width, n1_rows.to(tl.int64) * d_width
    g_plane, v_plane = n2_rows.to(tl.int64) * c_width, n1_rows.to(tl.int64) * c_width
    query += row.to(tl.int64) * d_width
    grad_out += row.to(tl.int64) * c_width
    q_norm = tl.load(query_norm + rows)
    row_lse = tl.load(lse + rows)
    row_delta = tl.load(delta + rows)
    scale = tl.load(unit)
    if D_GROUPS == 1:
        q_hi, q_lo = load_piece(query, q_plane, d_width, BM, D_MAIN)
    if D_TAIL > 0:
        qt_hi, qt_lo = load_piece(query + D_MAIN, q_plane, d_width, BM, D_TAIL)
    if C_GROUPS == 1:
        g_hi, g_lo = load_piece(grad_out, g_plane, c_width, BM, C_MAIN)
    if C_TAIL > 0:
        gt_hi, gt_lo = load_piece(grad_out + C_MAIN, g_plane, c_width, BM, C_TAIL)
    total = tl.zeros([BM], tl.float32)
    acc_main = tl.zeros([BM, D_MAIN], tl.float32)
    acc_tail = tl.zeros([BM, D_TAIL if D_TAIL > 0 else 16], tl.float32)
    for start in range(0, n1, BN):
        x = -(q_norm[:, None] + tl.load(reference_norm + start + tl.arange(0, BN))[None, :])
        r_hi, r_lo = load_piece(reference + group * D_MAIN, r_plane, d_width, BN, D_MAIN)
        if D_GROUPS == 1:
            x = tl.dot(q_hi, tl.trans(r_hi), x)
            if D_TAIL > 0:
                rt_hi, rt_lo = load_piece(reference + D_MAIN, r_plane, d_width, BN, D_TAIL)
                x = tl.dot(qt_hi, tl.trans(rt_hi), x)
                x = rest_dot(qt_hi, qt_lo, tl.trans(rt_hi), tl.trans(rt_lo), x)
            x = rest_dot(q_hi, q_lo, tl.trans(r_hi), tl.trans(r_lo), x)
        else:
            x = wide_half_squares(query, q_plane, reference, r_plane, x, d_width, BM, BN)
        x = (x - tl.load(reference_norm + n1_rows + start + tl.arange(0, BN))[None, :]) * scale
        x -= row_lse[:, None]
        needed = True
        if SKIP:
            needed = reaches(x, floor)
        if needed:
            weights = tl.exp2(x)
            change = tl.zeros([BM, BN], tl.float32)
            if C_GROUPS == 1:
                v_hi, v_lo = load_piece(values, v_plane, c_width, BN, C_MAIN)
                change = split_dot(g_hi, g_lo, tl.trans(v_hi), tl.trans(v_lo), change)
            else:
                change = wide_dot(grad_out, g_plane, values, v_plane, change, c_width, BM, BN)
            if C_TAIL > 0:
                v_hi, v_lo = load_piece(values + C_MAIN, v_plane, c_width, BN, C_TAIL)
                change = split_dot(gt_hi, gt_lo, tl.trans(v_hi), tl.trans(v_lo), change)
            grad = weights * (change * PRODUCT_SCALE - row_delta[:, None])
            total += tl.sum(grad, 1)
            s_hi, s_lo = split(grad)
            acc_main = split_dot(s_hi, s_lo, r_hi, r_lo, acc_main)
            if D_TAIL > 0:
                acc_tail = split_dot(s_hi, s_lo, rt_hi, rt_lo, acc_tail)
        reference += BN * d_width
        values += BN * c_width
    row_factor = tl.load(factor + rows)
    finish(
        out,
        acc_main,
        total,
        row_factor,
        query + group * D_MAIN,
        q_plane,
        rows,
        n2,
        group * D_MAIN,
        columns,
        d_width,
        BM,
        D_MAIN,
    )
    if D_TAIL > 0:
        finish(
            out, acc_tail, total, row_factor, query + D_MAIN, q_plane, rows, n2, D_MAIN, columns, d_width, BM, D_TAIL
        )


@triton.jit
@no_type_check
def finish(
    out,
    acc,
    total,
    factor,
    point,
    plane,
    rows,
    n,
    first_column,
    columns,
    width: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Stores ``factor (acc - total point)``.

    Gradients of logits were added times the points, and differences were meant.
    """
    hi, lo = load_piece(point, plane, width, ROWS, COLUMNS)
    position = hi.to(tl.float32) + lo.to(tl.float32)
    store_rows(out, (acc - total[:, None] * position) * factor[:, None], rows, n, first_column, columns, COLUMNS)


@triton.jit
@no_type_check
def grad_reference_and_values(
    query, query_norm, reference, reference_norm, values, grad_out, unit, lse, delta, factor, out_reference, out_values,
    n2, n1, n2_rows, n1_rows, d_columns, c_columns, floor,
    D_MAIN: tl.constexpr, D_TAIL: tl.constexpr, D_GROUPS: tl.constexpr,
    C_MAIN: tl.constexpr, C_TAIL: tl.constexpr, C_GROUPS: tl.constexpr,
    OF_REFERENCE: tl.constexpr, OF_VALUES: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, SKIP: tl.constexpr,
):  # fmt: skip
    """Program (j, g): the gradients of BN reference rows and of their values, in column group g of either.

    ``factor Σ_i dS_ij (q_i - r_j)`` and ``Σ_i P_ij G_i``.

    Tiles are held transposed, a row for each reference point, since the sums run over the query. Here ``lse`` holds the
    scale of the rows of G as well, so that all rows add up in one unit.
    """
    d_width: tl.constexpr = D_MAIN * D_GROUPS + D_TAIL
    c_width: tl.constexpr = C_MAIN * C_GROUPS + C_TAIL
    row = tl.program_id(0) * BN
    group = tl.program_id(1)
    rows = row + tl.arange(0, BN)
    q_plane, r_plane = n2_rows.to(tl.int64) * d_width, n1_rows.to(tl.int64) * d_width
    g_plane, v_plane = n2_rows.to(tl.int64) * c_width, n1_rows.to(tl.int64) * c_width
    reference += row.to(tl.int64) * d_width
    values += row.to(tl.int64) * c_width
    # The last group of the narrower of the two repeats work that is not stored.
    d_group = tl.minimum(group, D_GROUPS - 1)
    c_group = tl.minimum(group, C_GROUPS - 1)
    r_norm = tl.load(reference_norm + rows)
    r_rest = tl.load(reference_norm + n1_rows + rows)
    scale = tl.load(unit)
    if D_GROUPS == 1:
        r_hi, r_lo = load_piece(reference, r_plane, d_width, BN, D_MAIN)
    if D_TAIL > 0:
        rt_hi, rt_lo = load_piece(reference + D_MAIN, r_plane, d_width, BN, D_TAIL)
    if OF_REFERENCE and C_GROUPS == 1:
        v_hi, v_lo = load_piece(values, v_plane, c_width, BN, C_MAIN)
    if OF_REFERENCE and C_TAIL > 0:
        vt_hi, vt_lo = load_piece(values + C_MAIN, v_plane, c_width, BN, C_TAIL)
    total = tl.zeros([BN], tl.float32)
    d_main = tl.zeros([BN, D_MAIN], tl.float32)
    d_tail = tl.zeros([BN, D_TAIL if D_TAIL > 0 else 16], tl.float32)
    c_main = tl.zeros([BN, C_MAIN], tl.float32)
    c_tail = tl.zeros([BN, C_TAIL if C_TAIL > 0 else 16], tl.float32)
    for start in range(0, n2, BM):
        columns = start + tl.arange(0, BM)
        x = -(r_norm[:, None] + tl.load(query_norm + columns)[None, :])
        q_hi, q_lo = load_piece(query + d_group * D_MAIN, q_plane, d_width, BM, D_MAIN)
        g_hi, g_lo = load_piece(grad_out + c_group * C_MAIN, g_plane, c_width, BM, C_MAIN)
        if D_GROUPS == 1:
            x = tl.dot(r_hi, tl.trans(q_hi), x)
            if D_TAIL > 0:
                qt_hi, qt_lo = load_piece(query + D_MAIN, q_plane, d_width, BM, D_TAIL)
                x = tl.dot(rt_hi, tl.trans(qt_hi), x)
                x = rest_dot(rt_hi, rt_lo, tl.trans(qt_hi), tl.trans(qt_lo), x)
            x = rest_dot(r_hi, r_lo, tl.trans(q_hi), tl.trans(q_lo), x)
        else:
            x = wide_half_squares(reference, r_plane, query, q_plane, x, d_width, BN, BM)
        x = (x - r_rest[:, None]) * scale - tl.load(lse + columns)[None, :]
        needed = True
        if SKIP:
            needed = reaches(x, floor)
        if needed:
            weights = tl.exp2(x)
            if C_TAIL > 0:
                gt_hi, gt_lo = load_piece(grad_out + C_MAIN, g_plane, c_width, BM, C_TAIL)
            if OF_VALUES:
                w_hi, w_lo = split(weights)
                c_main = split_dot(w_hi, w_lo, g_hi, g_lo, c_main)
                if C_TAIL > 0:
                    c_tail = split_dot(w_hi, w_lo, gt_hi, gt_lo, c_tail)
            if OF_REFERENCE:
                change = tl.zeros([BN, BM], tl.float32)
                if C_GROUPS == 1:
                    change = split_dot(v_hi, v_lo, tl.trans(g_hi), tl.trans(g_lo), change)
                else:
                    change = wide_dot(values, v_plane, grad_out, g_plane, change, c_width, BN, BM)
                if C_TAIL > 0:
                    change = split_dot(vt_hi, vt_lo, tl.trans(gt_hi), tl.trans(gt_lo), change)
                grad = weights * (change * PRODUCT_SCALE - tl.load(delta + columns)[None, :])
                total += tl.sum(grad, 1)
                s_hi, s_lo = split(grad)
                d_main = split_dot(s_hi, s_lo, q_hi, q_lo, d_main)
                if D_TAIL > 0:
                    d_tail = split_dot(s_hi, s_lo, qt_hi, qt_lo, d_tail)
        query += BM * d_width
        grad_out += BM * c_width
    if OF_VALUES and group < C_GROUPS:
        store_rows(out_values, c_main, rows, n1, group * C_MAIN, c_columns, C_MAIN)
        if C_TAIL > 0:
            store_rows(out_values, c_tail, rows, n1, C_MAIN, c_columns, C_TAIL)
    if OF_REFERENCE and group < D_GROUPS:
        same = tl.full([BN], 1.0, tl.float32) * tl.load(factor)
        first = group * D_MAIN
        finish(
            out_reference,
            d_main,
            total,
            same,
            reference + first,
            r_plane,
            rows,
            n1,
            first,
            d_columns,
            d_width,
            BN,
            D_MAIN,
        )
        if D_TAIL > 0:
            finish(
                out_reference,
                d_tail,
                total,
                same,
                reference + D_MAIN,
                r_plane,
                rows,
                n1,
                D_MAIN,
                d_columns,
                d_width,
                BN,
                D_TAIL,
            )
