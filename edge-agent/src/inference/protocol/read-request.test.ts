import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { type Datatype, viewOf } from '../datatype.ts'
import { InferenceError } from '../inference-error.ts'
import { readRequest } from './read-request.ts'
import { writeResponse } from './write-response.ts'

const bodyOf = (json: unknown, ...binary: Uint8Array[]): [Uint8Array, number] => {
  const head = Buffer.from(typeof json === 'string' ? json : JSON.stringify(json))
  return [Buffer.concat([head, ...binary]), head.length]
}
const withCode =
  (code: string, message = /./) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof InferenceError, String(error))
    assert.equal(error.code, code, error.message)
    assert.match(error.message, message)
    return true
  }
const tensor = (fields: object) => ({ inputs: [{ name: 'x', datatype: 'FP32', shape: [2], ...fields }] })

suite('requests of the Open Inference Protocol', () => {
  test('each datatype is read from JSON, and from bytes to the same tensor', () => {
    const cases: [Datatype, number[], ArrayBufferView][] = [
      ['FP16', [1, -2.5], Uint16Array.of(0x3c00, 0xc100)],
      ['FP32', [0.5, -3e38], Float32Array.of(0.5, -3e38)],
      ['FP64', [0.1, 1e300], Float64Array.of(0.1, 1e300)],
      ['INT8', [-128, 127], Int8Array.of(-128, 127)],
      ['INT16', [-32768, 32767], Int16Array.of(-32768, 32767)],
      ['INT32', [-2147483648, 2147483647], Int32Array.of(-2147483648, 2147483647)],
      ['INT64', [-5, 2 ** 53 - 1], BigInt64Array.of(-5n, 2n ** 53n - 1n)],
      ['UINT8', [0, 255], Uint8Array.of(0, 255)],
      ['BOOL', [0, 1], Uint8Array.of(0, 1)],
    ]
    for (const [datatype, data, array] of cases) {
      const bytes = new Uint8Array(array.buffer)
      const fromJson = readRequest(bodyOf(tensor({ datatype, data }))[0]).inputs
      const parameters = { binary_data_size: bytes.length }
      const fromBytes = readRequest(...bodyOf(tensor({ datatype, parameters }), bytes)).inputs
      assert.deepEqual(Buffer.from(fromJson[0]?.bytes ?? []), Buffer.from(bytes), datatype)
      assert.deepEqual(Buffer.from(fromBytes[0]?.bytes ?? []), Buffer.from(bytes), datatype)
    }
  })

  test('binary data is taken in the order of the inputs, and all of it', () => {
    const inputs = [
      { name: 'a', datatype: 'UINT8', shape: [1], parameters: { binary_data_size: 1 } },
      { name: 'b', datatype: 'INT32', shape: [1], data: [9] },
      { name: 'c', datatype: 'UINT8', shape: [2], parameters: { binary_data_size: 2 } },
    ]
    const read = readRequest(...bodyOf({ inputs }, Uint8Array.of(1, 2, 3))).inputs
    assert.deepEqual(
      read.map(({ name, bytes }) => [name, ...bytes]),
      [
        ['a', 1],
        ['b', 9, 0, 0, 0],
        ['c', 2, 3],
      ],
    )
    assert.throws(
      () => readRequest(...bodyOf({ inputs }, Uint8Array.of(1, 2, 3, 4))),
      withCode('MALFORMED', /1 bytes after/),
    )
    assert.throws(
      () => readRequest(...bodyOf({ inputs }, Uint8Array.of(1, 2))),
      withCode('MALFORMED', /"c" ends before/),
    )
    assert.throws(() => readRequest(Buffer.from('{}'), 3), withCode('MALFORMED', /says 3 bytes/))
  })

  test('sizes that lie are refused before any room is made', () => {
    const refusals: [object, string, RegExp][] = [
      [{ shape: [2 ** 40, 2 ** 40], data: [1] }, 'SHAPE_MISMATCH', /too large/],
      [{ shape: [2 ** 31], data: [] }, 'SHAPE_MISMATCH', /too large/],
      [{ shape: [2 ** 27], data: [1] }, 'SHAPE_MISMATCH', /has 1 elements/],
      [{ shape: [2 ** 27], parameters: { binary_data_size: 8 } }, 'SHAPE_MISMATCH', /says 8 bytes/],
      [{ shape: [2 ** 20, 2], data: [[1, 2]] }, 'SHAPE_MISMATCH', /1 instead of 1048576 in dimension 0/],
      [{ shape: [1, 2], data: [[1, [2]]] }, 'DATATYPE_MISMATCH', /a list/],
      [{ shape: [2, 2], data: [[1, 2], 3] }, 'SHAPE_MISMATCH', /none instead of 2/],
      [{ parameters: { binary_data_size: '8' } }, 'SHAPE_MISMATCH', /no number/],
      [{ parameters: { binary_data_size: 8 }, data: [1, 2] }, 'MALFORMED', /one of them/],
      [{ shape: [1, 1, 1, 1, 1, 1, 1, 1, 2], data: [1, 2] }, 'MALFORMED', /at most 8/],
      [{ shape: [1.5], data: [1] }, 'MALFORMED', /whole numbers/],
    ]
    for (const [fields, code, message] of refusals) {
      assert.throws(() => readRequest(...bodyOf(tensor(fields))), withCode(code, message))
    }
    assert.equal(readRequest(bodyOf(tensor({ shape: [0, 2 ** 50], data: [] }))[0]).inputs[0]?.bytes.length, 0)
  })

  test('numbers that the datatype does not hold are refused, with what to do', () => {
    const refusals: [string, unknown, RegExp][] = [
      ['FP32', 1e39, /too large/],
      ['FP16', 65_505, /too large/],
      ['FP32', 'NaN', /a text/],
      ['FP32', null, /null/],
      ['FP32', true, /a boolean/],
      ['INT8', 128, /cannot hold 128/],
      ['INT32', 0.5, /cannot hold 0.5/],
      ['INT64', 2 ** 53, /binary data/],
      ['UINT8', -1, /cannot hold -1/],
      ['BOOL', 2, /cannot hold 2/],
    ]
    for (const [datatype, value, message] of refusals) {
      const request = tensor({ datatype, data: [0, value] })
      assert.throws(() => readRequest(bodyOf(request)[0]), withCode('DATATYPE_MISMATCH', message))
    }
    const bool = tensor({ datatype: 'BOOL', parameters: { binary_data_size: 2 } })
    assert.throws(() => readRequest(...bodyOf(bool, Uint8Array.of(1, 2))), withCode('DATATYPE_MISMATCH', /0 and 1/))
  })

  test('keys of objects that JavaScript knows mean nothing', () => {
    const polluting = '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"inputs":[]}'
    assert.deepEqual(readRequest(Buffer.from(polluting)).inputs, [])
    assert.equal(({} as { polluted?: number }).polluted, undefined)
    const named = { inputs: [{ name: '__proto__', datatype: 'FP32', shape: [1], data: [1] }] }
    assert.equal(readRequest(bodyOf(named)[0]).inputs[0]?.name, '__proto__')
  })

  test('JSON that would hold a parser up is refused before it is parsed', () => {
    const hostile = [
      `{"inputs":[{"name":"x","datatype":"FP32","shape":[1,1],"data":${'['.repeat(5e6)}${']'.repeat(5e6)}}]}`,
      `{"inputs":[${'{},'.repeat(3e6)}{}]}`,
      `{"inputs":[${'[],'.repeat(3e6)}[]]}`,
      `{"inputs":[],${Array.from({ length: 5000 }, (_, key) => `"${key}":1`).join()}}`,
    ]
    for (const text of hostile) {
      assert.throws(() => readRequest(Buffer.from(text)), withCode('MALFORMED', /deeper than 16/))
    }
    const texts = { ...tensor({ data: [1, 2] }), id: `${'[{:'.repeat(80)}\\"` }
    assert.equal(readRequest(bodyOf(texts)[0]).id, texts.id, 'brackets in texts do not count')
    const many = tensor({ shape: [65] })
    const inputs = Array.from({ length: 65 }, () => many.inputs[0])
    assert.throws(() => readRequest(bodyOf({ inputs })[0]), withCode('MALFORMED', /at most 64/))
  })

  test('whatever comes is a request or a typed refusal', () => {
    const value = fc.jsonValue()
    const input = fc.record(
      {
        name: fc.oneof(fc.string(), value),
        datatype: fc.oneof(fc.constantFrom('FP32', 'INT64', 'BOOL', 'BYTES', '__proto__'), value),
        shape: fc.oneof(fc.array(fc.integer({ min: -2, max: 5 }), { maxLength: 4 }), value),
        data: value,
        parameters: fc.oneof(fc.record({ binary_data_size: fc.integer({ min: -1, max: 64 }) }), value),
      },
      { requiredKeys: [] },
    )
    const request = fc.record(
      { id: value, inputs: fc.oneof(fc.array(input, { maxLength: 3 }), value), outputs: value, parameters: value },
      { requiredKeys: [] },
    )
    const property = fc.property(fc.oneof(request, value), fc.uint8Array({ maxLength: 64 }), (json, binary) => {
      const [body, length] = bodyOf(json, binary)
      try {
        const { inputs } = readRequest(body, length)
        // What is accepted has as many bytes as its shape takes.
        for (const { datatype, shape, bytes } of inputs) {
          assert.equal(
            viewOf(datatype, bytes).length,
            shape.reduce((product, size) => product * size, 1),
          )
        }
      } catch (error) {
        assert.ok(error instanceof InferenceError, String(error))
      }
    })
    fc.assert(property, { numRuns: 500 })
  })
})

suite('responses', () => {
  const head = { modelName: 'm "1"', modelVersion: '3', id: undefined }
  const output = (datatype: Datatype, array: ArrayBufferView, shape: number[]) => [
    { name: 'y', datatype, shape, bytes: new Uint8Array(array.buffer) },
  ]
  const text = (datatype: Datatype, array: ArrayBufferView, count: number): string =>
    Buffer.concat(writeResponse(head, output(datatype, array, [count]), () => false).parts).toString()

  test('are JSON of the numbers, all digits of whole ones', () => {
    assert.deepEqual(JSON.parse(text('FP32', Float32Array.of(0.5, -1e30), 2)), {
      model_name: 'm "1"',
      model_version: '3',
      outputs: [{ name: 'y', datatype: 'FP32', shape: [2], data: [0.5, Math.fround(-1e30)] }],
    })
    assert.match(text('INT64', BigInt64Array.of(2n ** 62n + 1n, -1n), 2), /"data":\[4611686018427387905,-1\]/)
    assert.match(text('BOOL', Uint8Array.of(1, 0), 2), /"data":\[true,false\]/)
    assert.match(text('FP16', Uint16Array.of(0x3c00, 0xc100), 2), /"data":\[1,-2.5\]/)
  })

  test('that are not finite have no JSON, and go out as bytes', () => {
    for (const [datatype, array] of [
      ['FP32', Float32Array.of(Number.NaN)],
      ['FP64', Float64Array.of(Number.NEGATIVE_INFINITY)],
      ['FP16', Uint16Array.of(0x7c00)],
    ] as const) {
      assert.throws(() => text(datatype, array, 1), withCode('NOT_FINITE', /binary_data/))
      const { parts, jsonBytes } = writeResponse(head, output(datatype, array, [1]), () => true)
      assert.equal(parts[0]?.length, jsonBytes)
      assert.deepEqual(parts[1], new Uint8Array(array.buffer))
    }
  })
})
