"""Stages of min/max steps compiled straight into vector instructions.

A loop over pixels with several hundred min/max steps is left scalar, or takes many seconds to vectorise, when it is
written as Python for numba. The stages are therefore written in the compiler's own language, one vector of pixels at
a time: compiling takes a fraction of a second and the result is vector code for every dtype.
"""

import hashlib
from functools import cache
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from napari_tessera.operations.rank.networks import Program, Slot
from napari_tessera.operations.rank.plans import ROWS, Window, plan

VECTOR_BYTES = 64
"""Width of a vector; processors with narrower registers use several."""

CHUNK_BYTES = 1024
"""How much of a row is worked on at a time: the lists of a chunk stay in the processor's cache."""

ROW_BYTES = CHUNK_BYTES + 2 * VECTOR_BYTES
"""Length of a row of the working buffers: a chunk and the columns beyond it that its windows reach."""


def window_of(marker: Any) -> Window:
    """Return the window that the type of a marker stands for."""
    depth, height, width = (len(axis) for axis in tuple(marker)[:3])
    return depth, height, width


@cache
def marker_of(window: Window) -> tuple[tuple[int, ...], ...]:
    """Return a value whose type stands for a window and its plans, so that kernels are compiled for each.

    Three tuples are as long as the window; the lengths of the others are digits of a hash of the plans: code that was
    cached on disk for other plans, which may use a larger buffer, is not found then.
    """
    text = repr((plan(window), plan(window, extremes=True), ROW_BYTES, VECTOR_BYTES))
    digits = hashlib.sha256(text.encode()).hexdigest()[:8]
    return (*((0,) * extent for extent in window), *((0,) * (int(digit, 16) + 1) for digit in digits))


def _choose(builder: ir.IRBuilder, kind: str, dtype: Any, a: ir.Value, b: ir.Value) -> ir.Value:
    """Return the smaller or larger of two vectors, lane by lane."""
    first = _is_less(builder, dtype, a, b) if kind == "min" else _is_less(builder, dtype, b, a)
    return builder.select(first, a, b)


def _emit(context: Any, builder: ir.IRBuilder, program: Program, dtype: Any, pointers: list[ir.Value]) -> None:
    """Write the steps of a program for one vector of pixels; the pointers stand at the first rows of its slots."""
    scalar = context.get_data_type(dtype)
    size = context.get_abi_sizeof(scalar)
    vector = ir.VectorType(scalar, VECTOR_BYTES // size)
    intp = context.get_value_type(types.intp)

    def address(slot: int, row: int, shift: int) -> ir.Value:
        offset = ir.Constant(intp, row * (ROW_BYTES // size) + shift)
        return builder.bitcast(builder.gep(pointers[slot], [offset]), vector.as_pointer())

    values: list[ir.Value] = []
    for kind, first, second, third in program.steps:
        if kind == "load":
            values.append(builder.load(address(first, second, third), align=size))
        else:
            values.append(_choose(builder, kind, dtype, values[first], values[second]))
    for slot, row, value in program.stores:
        builder.store(values[value], address(slot, row, 0), align=size)


def _first_element(builder: ir.IRBuilder, slot: Slot, index: ir.Value, row_length: int) -> ir.Value:
    """Return where in the working buffer the list begins that a slot means at a running index."""
    number = builder.add(builder.mul(index, ir.Constant(index.type, slot.scale)), ir.Constant(index.type, slot.delta))
    place = builder.srem(number, ir.Constant(index.type, slot.ring))
    row = builder.add(builder.mul(place, ir.Constant(index.type, slot.length)), ir.Constant(index.type, slot.first))
    return builder.mul(row, ir.Constant(index.type, row_length))


def _run_stage(
    typing: Any, window: Any, extremes: Any, stage: Any, work: Any, index: Any, column: Any, pixels: Any
) -> Any:
    """Run one stage of the plan for a window over a chunk.

    Parameters
    ----------
    window : tuple
        From `marker_of`.
    extremes, stage : int
        Literal. 0 or 1: whether the smallest and largest values are found too; which stage of `plans.Plan`.
    work : (rows, ROW_BYTES // itemsize) array, C-contiguous
        The working buffer, with one row more than the plan uses.
    index : int
        The running index of the stage, see `plans`.
    column, pixels : int
        Where in the chunk to begin, and how many pixels to make.
    """
    del typing, index, column, pixels
    chosen = stage.literal_value
    made = plan(window_of(window), extremes=bool(extremes.literal_value))
    programs = made.stages[chosen]
    reach = made.reach if chosen == ROWS else (0,) * len(programs)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        _, _, _, work_value, index_value, column_value, count = arguments
        intp = context.get_value_type(types.intp)
        buffer = context.make_array(signature.args[3])(context, builder, work_value).data
        size = context.get_abi_sizeof(context.get_data_type(work.dtype))
        lanes = ir.Constant(intp, VECTOR_BYTES // size)
        for program, ahead in zip(programs, reach, strict=True):
            rest = ir.Constant(intp, ahead + VECTOR_BYTES // size - 1)
            vectors = builder.sdiv(builder.add(count, rest), lanes)
            starts = [
                builder.add(_first_element(builder, slot, index_value, ROW_BYTES // size), column_value)
                for slot in program.slots
            ]
            with cgutils.for_range(builder, vectors, intp=intp) as loop:
                x = builder.mul(loop.index, lanes)
                pointers = [builder.gep(builder.gep(buffer, [start]), [x]) for start in starts]
                _emit(context, builder, program, work.dtype, pointers)
        return context.get_dummy_value()

    intp = types.intp
    return types.void(window, extremes, stage, work, intp, intp, intp), generate


run_stage: Any = intrinsic(prefer_literal=True)(_run_stage)


def _copy_pixels(typing: Any, target: Any, source: Any, count: Any) -> Any:
    """Copy `count` pixels between two one-dimensional C-contiguous arrays of one dtype."""
    del typing, count

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        to, origin = (
            context.make_array(kind)(context, builder, value).data
            for kind, value in zip(signature.args[:2], arguments[:2], strict=True)
        )
        size = context.get_abi_sizeof(context.get_data_type(target.dtype))
        cgutils.raw_memcpy(builder, to, origin, arguments[2], size)
        return context.get_dummy_value()

    return types.void(target, source, types.intp), generate


copy_pixels: Any = intrinsic(_copy_pixels)


def _is_less(builder: ir.IRBuilder, dtype: Any, a: ir.Value, b: ir.Value) -> ir.Value:
    """Return a mask of where one vector is strictly less than another."""
    if isinstance(dtype, types.Float):
        return builder.fcmp_ordered("<", a, b)
    return builder.icmp_signed("<", a, b) if dtype.signed else builder.icmp_unsigned("<", a, b)


def _decide_vectors(typing: Any, image: Any, found: Any, out: Any, todo: Any, vectors: Any) -> Any:
    """Apply the levels A and B of the adaptive median to whole vectors of a row of pixels.

    Parameters
    ----------
    image, out : (x,) array, C-contiguous
        Pixels, and results.
    found : (3, x) array
        The smallest value, median and largest value of each window, in rows that lie `ROW_BYTES` apart.
    todo : (x,) array of uint8, C-contiguous
        1 where no window has given a result yet; becomes 0 where level A holds.
    vectors : int
        Number of vectors of `VECTOR_BYTES`.
    """
    del typing, vectors
    dtype = image.dtype

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        pixels, rows, results, mask = (
            context.make_array(signature.args[i])(context, builder, arguments[i]).data for i in range(4)
        )
        intp = context.get_value_type(types.intp)
        scalar = context.get_data_type(dtype)
        size = context.get_abi_sizeof(scalar)
        lanes = VECTOR_BYTES // size
        vector, bytes_ = ir.VectorType(scalar, lanes), ir.VectorType(ir.IntType(8), lanes)
        with cgutils.for_range(builder, arguments[4], intp=intp) as loop:
            x = builder.mul(loop.index, ir.Constant(intp, lanes))

            def at(data: ir.Value, kind: ir.Type, offset: ir.Value) -> ir.Value:
                return builder.bitcast(builder.gep(data, [offset]), kind.as_pointer())

            low, middle, high = (
                builder.load(at(rows, vector, builder.add(x, ir.Constant(intp, i * (ROW_BYTES // size)))), align=size)
                for i in range(3)
            )
            own = builder.load(at(pixels, vector, x), align=size)
            before = builder.load(at(results, vector, x), align=size)
            waiting = builder.trunc(builder.load(at(mask, bytes_, x), align=1), ir.VectorType(ir.IntType(1), lanes))
            level_a = builder.and_(_is_less(builder, dtype, low, middle), _is_less(builder, dtype, middle, high))
            level_b = builder.and_(_is_less(builder, dtype, low, own), _is_less(builder, dtype, own, high))
            chosen = builder.select(builder.and_(level_a, level_b), own, middle)
            builder.store(builder.select(waiting, chosen, before), at(results, vector, x), align=size)
            left = builder.and_(waiting, builder.not_(level_a))
            builder.store(builder.zext(left, bytes_), at(mask, bytes_, x), align=1)
        return context.get_dummy_value()

    return types.void(image, found, out, todo, types.intp), generate


decide_vectors: Any = intrinsic(_decide_vectors)
