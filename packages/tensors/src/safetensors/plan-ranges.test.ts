import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DTYPE_BYTES, DTYPES } from '../dtype.ts'
import { layoutSafetensors } from './layout.ts'
import { planRanges } from './plan-ranges.ts'

const plan = (tensors: { dtype: (typeof DTYPES)[number]; shape: number[] }[], rangeBytes: number) => {
  const layout = layoutSafetensors(tensors.map((tensor, index) => ({ name: `t${index}`, ...tensor })))
  const ranges = [...planRanges(layout.tensors.values(), rangeBytes)]
  return { ranges, dataStart: layout.header.length, end: layout.fileBytes }
}

test('small tensors share a range and a large one takes many', () => {
  const { ranges, dataStart } = plan(
    [
      { dtype: 'U8', shape: [3] },
      { dtype: 'F32', shape: [6] },
      { dtype: 'F64', shape: [] },
    ],
    12,
  )
  assert.deepEqual(
    ranges.map(({ start, end, pieces }) => [
      start - dataStart,
      end - dataStart,
      pieces.map(piece => [piece.tensor.name, piece.start, piece.end]),
    ]),
    [
      [
        0,
        11,
        [
          ['t0', 0, 3],
          ['t1', 3, 11],
        ],
      ],
      [11, 23, [['t1', 0, 12]]],
      [
        23,
        35,
        [
          ['t1', 0, 4],
          ['t2', 4, 12],
        ],
      ],
    ],
  )
})

test('the ranges follow one another to the end, none is too long, and no element is cut', () => {
  const tensor = fc.record({ dtype: fc.constantFrom(...DTYPES), shape: fc.array(fc.nat(5), { maxLength: 3 }) })
  fc.assert(
    fc.property(fc.array(tensor, { maxLength: 20 }), fc.integer({ min: 8, max: 64 }), (tensors, rangeBytes) => {
      const { ranges, dataStart, end } = plan(tensors, rangeBytes)
      let at = dataStart
      for (const range of ranges) {
        assert.equal(range.start, at)
        assert.ok(range.end > range.start && range.end - range.start <= rangeBytes)
        at = range.end
        let within = 0
        for (const piece of range.pieces) {
          assert.equal(piece.start, within)
          within = piece.end
          const offset = range.start + piece.start - piece.tensor.offset
          assert.equal(offset % DTYPE_BYTES[piece.tensor.dtype], 0)
          assert.equal((piece.end - piece.start) % DTYPE_BYTES[piece.tensor.dtype], 0)
        }
        assert.equal(within, range.end - range.start)
      }
      assert.equal(at, end)
    }),
  )
})
