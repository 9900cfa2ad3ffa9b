import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_LIMITS } from './limits.ts'
import { parseHeader, readHeaderBytes } from './parse-header.ts'
import type { SafetensorsErrorCode } from './safetensors-error.ts'

function start(json: string | Uint8Array, length?: bigint): Uint8Array {
  const text = typeof json === 'string' ? new TextEncoder().encode(json) : json
  const bytes = new Uint8Array(8 + text.byteLength)
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(text.byteLength), true)
  bytes.set(text, 8)
  return bytes
}

const entry = (begin: number | string, end: number | string, shape = '[2]', dtype = 'F32') =>
  `{"dtype":"${dtype}","shape":${shape},"data_offsets":[${begin},${end}]}`

function refuses(json: string | Uint8Array, code: SafetensorsErrorCode, tensor: string | null = null): void {
  assert.throws(() => parseHeader(start(json)), { name: 'SafetensorsError', code, tensor }, String(json).slice(0, 100))
}

test('tensors come in the order of their data, whatever the order of the header', () => {
  const header = parseHeader(start(` {"b" : ${entry(8, 16)},\n"a":${entry(0, 8)}} `))
  assert.deepEqual([...header.tensors.keys()], ['a', 'b'])
  assert.equal(header.tensors.get('b')?.offset, header.headerBytes + 8)
  assert.equal(header.fileBytes, header.headerBytes + 16)
})

test('names that mean something to JavaScript are ordinary names', () => {
  const header = parseHeader(start(`{"__proto__":${entry(0, 8)},"constructor":${entry(8, 16)}}`))
  assert.deepEqual([...header.tensors.keys()], ['__proto__', 'constructor'])
  assert.equal(({} as { dtype?: string }).dtype, undefined)
})

test('metadata is read apart from tensors', () => {
  const header = parseHeader(start('{"__metadata__":{"format":"pt","__proto__":"x"}}'))
  assert.deepEqual(
    [...header.metadata],
    [
      ['format', 'pt'],
      ['__proto__', 'x'],
    ],
  )
  assert.equal(header.tensors.size, 0)
})

test('a file that ends too early or too late is refused', () => {
  const good = start(`{"a":${entry(0, 8)}}`)
  assert.throws(() => parseHeader(good.subarray(0, 5)), { code: 'TRUNCATED' })
  assert.throws(() => parseHeader(good.subarray(0, 20)), { code: 'TRUNCATED' })
  assert.throws(() => parseHeader(good, { fileBytes: good.byteLength + 7 }), { code: 'TRUNCATED' })
  assert.throws(() => parseHeader(good, { fileBytes: good.byteLength + 9 }), { code: 'TRAILING_BYTES' })
  assert.equal(parseHeader(good, { fileBytes: good.byteLength + 8 }).tensors.size, 1)
})

test('a header beyond the limit is refused before it is read', () => {
  for (const length of [BigInt(DEFAULT_LIMITS.maxHeaderBytes) + 1n, 2n ** 63n, 2n ** 64n - 1n]) {
    assert.throws(() => readHeaderBytes(start('', length)), { code: 'HEADER_TOO_LARGE' })
  }
  assert.equal(readHeaderBytes(start('', 1024n * 1024n)), 8 + 1024 * 1024)
})

test('what is not JSON is refused', () => {
  for (const json of [
    '',
    '{',
    '[]',
    'null',
    '{"a":1',
    '{"a"}',
    "{'a':1}",
    '{}{}',
    '{},',
    '\ufeff{}',
    '{"a\n":1}',
    '{"\\x":1}',
    '{"a',
  ]) {
    refuses(json, 'NOT_JSON')
  }
  refuses(Uint8Array.of(0x7b, 0xff, 0x7d), 'NOT_UTF8')
  refuses(`{"a":${entry(0, 8)},}`, 'NOT_JSON')
  refuses(`{"a":${entry('00', 8)}}`, 'NOT_JSON')
  refuses(`{"a":${entry(0, '8.0')}}`, 'NOT_JSON')
  refuses(`{"a":${entry(-8, 0)}}`, 'NOT_JSON')
})

test('deep nesting does not exhaust the stack', () => {
  refuses(`{"a":${'['.repeat(500_000)}`, 'NOT_JSON')
  refuses(`{"a":{"shape":${'['.repeat(500_000)}`, 'NOT_JSON')
  refuses('{"a":'.repeat(100_000), 'MALFORMED_ENTRY', 'a')
})

test('a name that comes twice is refused', () => {
  refuses(`{"a":${entry(0, 8)},"\\u0061":${entry(0, 8)}}`, 'DUPLICATE_NAME', 'a')
  refuses('{"__metadata__":{},"__metadata__":{}}', 'DUPLICATE_NAME', '__metadata__')
  refuses('{"__metadata__":{"k":"1","k":"2"}}', 'DUPLICATE_NAME', 'k')
})

test('entries with other fields than the three are refused', () => {
  refuses('{"a":{}}', 'MALFORMED_ENTRY', 'a')
  refuses('{"a":{"dtype":"F32","shape":[2]}}', 'MALFORMED_ENTRY', 'a')
  refuses(`{"a":${entry(0, 8).replace('}', ',"offset":0}')}}`, 'MALFORMED_ENTRY', 'a')
  refuses('{"a":{"dtype":"F32","dtype":"F32"}}', 'MALFORMED_ENTRY', 'a')
})

test('wrong dtypes, shapes and sizes are refused', () => {
  refuses(`{"a":${entry(0, 8, '[2]', 'F31')}}`, 'UNKNOWN_DTYPE', 'a')
  refuses(`{"a":${entry(0, 8, '[2]', '__proto__')}}`, 'UNKNOWN_DTYPE', 'a')
  refuses(`{"a":${entry(0, 8, '[3]')}}`, 'SIZE_MISMATCH', 'a')
  refuses(`{"a":${entry(0, 8, '[9007199254740993]')}}`, 'INVALID_SHAPE', 'a')
  refuses(`{"a":${entry(0, 0, '[4294967296,4294967296,4294967296]')}}`, 'INVALID_SHAPE', 'a')
  refuses(`{"a":${entry(0, 4, `[${Array(17).fill(1)}]`)}}`, 'INVALID_SHAPE', 'a')
})

test('offsets that overlap, leave gaps, run backwards or beyond any file are refused', () => {
  refuses(`{"a":${entry(0, 8)},"b":${entry(4, 12)}}`, 'OVERLAP', 'b')
  refuses(`{"a":${entry(0, 8)},"b":${entry(0, 8)}}`, 'OVERLAP', 'b')
  refuses(`{"a":${entry(0, 8)},"b":${entry(9, 17)}}`, 'GAP', 'b')
  refuses(`{"a":${entry(1, 9)}}`, 'GAP', 'a')
  refuses(`{"a":${entry(8, 0)}}`, 'INVALID_OFFSETS', 'a')
  refuses(`{"a":${entry(0, '9007199254740992')}}`, 'INVALID_OFFSETS', 'a')
  refuses(`{"a":${entry('18446744073709551608', '18446744073709551616')}}`, 'INVALID_OFFSETS', 'a')
  refuses(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4,8]}}`, 'INVALID_OFFSETS', 'a')
  const whole = Number.MAX_SAFE_INTEGER
  refuses(`{"a":${entry(0, whole, `[${whole}]`, 'U8')}}`, 'INVALID_OFFSETS', 'a')
})

test('names too long or with half a surrogate pair are refused', () => {
  refuses(`{"${'x'.repeat(545)}":${entry(0, 8)}}`, 'INVALID_NAME')
  refuses(`{"\\ud800":${entry(0, 8)}}`, 'INVALID_NAME', '\ud800')
})

test('a million tensors are refused at the first one too many', () => {
  const entries = Array.from({ length: 1_000_000 }, (_, index) => `"t${index}":${entry(0, 0, '[0]')}`)
  const bytes = start(`{${entries.join(',')}}`)
  assert.throws(() => parseHeader(bytes), { code: 'HEADER_TOO_LARGE' })
  const limits = { ...DEFAULT_LIMITS, maxHeaderBytes: bytes.byteLength }
  assert.throws(() => parseHeader(bytes, { limits }), { code: 'TOO_MANY_TENSORS' })
})
